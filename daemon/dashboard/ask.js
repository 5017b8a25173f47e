/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon is asked, with the token of the person who asks. */
const TOKEN = 'gloveboxd-token';

export class Refused extends Error {
  constructor(status, reply) {
    super(reply?.error?.message ?? `status ${status}`);
    this.status = status;
    this.reply = reply;
  }
}

/* Of this tab alone, and only until it is closed. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/* The reply's JSON.  Throws Refused, or what fetch does: it is not there. */
export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  const reply = await fetch(path, {
    ...options, headers, cache: 'no-store', credentials: 'omit', redirect: 'error',
  });
  const text = await reply.text();
  let json = null;
  try {
    json = text === '' ? null : JSON.parse(text);
  } catch {
    if (reply.ok) throw new Refused(reply.status, { error: { message: 'its reply is no JSON' } });
  }
  if (!reply.ok) throw new Refused(reply.status, json);
  return json;
}
