// SPDX-License-Identifier: Apache-2.0
// The daemon's page, as a person meets it in a browser.
//
// usage: page_test.mjs PROGRAM FOLDER-FOR-PICTURES
//
// It tells in TAP.  Without a browser, or without playwright-core beside this
// file, it is skipped (77), and says why.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, MARKUP, NODES, SECRET } from './daemon.mjs';

const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const [program, pictures] = process.argv.slice(2);

const skip = (why) => {
  console.log(`1..0 # skip ${why}`);
  process.exit(77);
};
if (!existsSync(BROWSER)) skip(`there is no ${BROWSER}`);
const { chromium } = await import('playwright-core')
  .catch(() => skip('playwright-core is not there: npm ci in tests/dashboard'));

const daemon = new Daemon(program);
const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
}).catch((error) => skip(`the browser does not start: ${error.message.split('\n')[0]}`));
mkdirSync(pictures, { recursive: true });

const complaints = [];
let number = 0;
let failed = 0;

async function open(how = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...how });
  context.setDefaultTimeout(15000);
  const page = await context.newPage();
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!/^(data:|http:\/\/127\.0\.0\.1:)/.test(request.url())) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(daemon.address);
  return page;
}

async function picture(page, name, fullPage = true) {
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage });
}
const live = (page) => page.locator('#status[data-kind="good"]').waitFor();
const node = (page, name) => page.locator(`.graph .node[aria-label^=${JSON.stringify(`${name},`)}]`);
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute('aria-label')
  ?? document.activeElement.id);
const until = async (page, test, ...given) => page.waitForFunction(test, ...given);
const isNarrow = (page) => page.evaluate(() =>
  document.documentElement.scrollWidth <= document.documentElement.clientWidth);

async function test(name, what) {
  number += 1;
  const page = { current: null };
  try {
    await what(page);
    assert.deepEqual(complaints.splice(0), []);
    console.log(`ok ${number} - ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${number} - ${name}`);
    console.log(String(error.stack ?? error).replace(/^/gm, '# '));
    complaints.splice(0);
    await page.current?.screenshot({ path: join(pictures, `failed-${number}.png`), fullPage: true })
      .catch(() => {});
  }
  await page.current?.context().close();
}

async function typeInto(page, id, text) {
  await page.locator(id).fill(text);
}

await daemon.startWithFlows();

await test('the graph is there with its nodes, and counts go up', async (on) => {
  const page = on.current = await open();
  await live(page);
  await node(page, 'sum').waitFor();
  const names = await page.locator('.graph .node').evaluateAll((all) =>
    all.map((one) => one.getAttribute('aria-label').replace(/, a .*$/, '')));
  assert.deepEqual(names.sort(), [...NODES].sort());
  assert.equal(await page.locator('.graph .edge').count(), 10);
  const runs = () => node(page, 'sum').locator('.small').textContent().then((text) => parseInt(text, 10));
  const before = await runs();
  await until(page, (least) => [...document.querySelectorAll('.graph .node')].some((one) =>
    one.getAttribute('aria-label').startsWith('sum,')
    && parseInt(one.querySelector('.small').textContent, 10) > least), before);
  await page.locator('.graph .edge.lit').first().waitFor({ state: 'attached' });
  /* They stand from left to right, and none over another. */
  const boxes = await page.locator('.graph .box').evaluateAll((all) => all.map((one) => {
    const { x, y, right, bottom } = one.getBoundingClientRect();
    return { x, y, right, bottom };
  }));
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => assert(
    a.right <= b.x || b.right <= a.x || a.bottom <= b.y || b.bottom <= a.y, 'boxes overlap')));
  const x = async (name) => (await node(page, name).boundingBox()).x;
  assert(await x('ticks') < await x('count') && await x('count') < await x('sum'));
});

await test('markup in names and texts is shown as text', async (on) => {
  const page = on.current = await open();
  await node(page, MARKUP).waitFor();
  await page.locator('#errors li').first().waitFor();
  assert.match(await page.locator('#errors li').first().textContent(), /<b>here<\/b>/);
  assert.equal(await page.locator('img, .graph b, #errors b').count(), 0);
  await page.getByText('Nodes as a table').click();
  await page.locator('#nodes tbody th', { hasText: MARKUP }).waitFor();
});

await test('it works by keyboard alone', async (on) => {
  const page = on.current = await open();
  await live(page);
  await node(page, 'ticks').waitFor();
  const tab = async (wanted) => {
    for (let i = 0; i < 20; i += 1) {
      await page.keyboard.press('Tab');
      if ((await focused(page)).startsWith(wanted)) return;
    }
    assert.fail(`Tab does not come to ${wanted}`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await tab('pause');
  await page.keyboard.press('Enter');
  await page.locator('#status[data-kind="paused"]').waitFor();
  await page.keyboard.press('Enter');
  await live(page);
  await tab('flow');
  await tab('ticks,');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.match(await focused(page), /^sum,/);
  await page.keyboard.press('ArrowLeft');
  assert.match(await focused(page), /^(twice|square),/);
  await page.keyboard.press('Home');
  const first = await focused(page);
  await page.keyboard.press('End');
  assert.notEqual(await focused(page), first);
  await page.keyboard.press('Enter');
  const name = (await focused(page)).replace(/, a .*$/, '');
  assert.equal(await page.locator('#node-title').textContent(), `Node ${name}`);
  assert.equal(await node(page, name).getAttribute('aria-pressed'), 'true');
  await tab('node-close');
  await page.keyboard.press('Enter');
  await page.locator('#node').waitFor({ state: 'hidden' });
  assert((await focused(page)).startsWith(name));
  /* What has the focus is seen to have it. */
  await tab('script');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid');
});

await test('a mouse chooses a node, and another flow', async (on) => {
  const page = on.current = await open();
  await node(page, 'twice').click();
  await page.locator('#node-facts', { hasText: 'count.out → in' }).waitFor();
  await page.locator('#node-facts', { hasText: 'out → sum.a' }).waitFor();
  await page.locator('#flow').selectOption('other');
  await node(page, 'only').waitFor();
  assert(await page.locator('#node').isHidden());
});

await test('scripts are tried, and errors have their traceback', async (on) => {
  const page = on.current = await open();
  const result = page.locator('#result');
  await page.locator('#run').click();
  await result.getByText(/^Done in/).waitFor();
  assert.match(await result.textContent(), /Port out40Printeddoubling 20/);
  await page.getByLabel('JavaScript').check();
  assert.match(await page.locator('#script').inputValue(), /^function process/);
  await typeInto(page, '#inputs', '{"in": 21}');
  await page.locator('#inputs').press('Control+Enter');
  await result.getByText('42', { exact: true }).waitFor();
  await page.getByLabel('Python').check();
  await typeInto(page, '#script', 'def process(c):\n    print("so far")\n    return {"out": 1 // 0}\n');
  await page.locator('#script').press('Control+Enter');
  await result.getByText(/^ESCRIPT: ZeroDivisionError/).waitFor();
  assert.match(await result.textContent(), /line 3, in process[^]*Printedso far/);
  await page.locator('#errors li', { hasText: 'ZeroDivisionError' }).first().waitFor();
  await typeInto(page, '#script', 'this is no Python');
  await page.locator('#run').click();
  await result.getByText(/^ELOAD: .*SyntaxError/).waitFor();
  await typeInto(page, '#inputs', '[1');
  await page.locator('#run').click();
  await result.getByText(/^Inputs:/).waitFor();
  await typeInto(page, '#inputs', '');
  await typeInto(page, '#script', 'def process(c):\n    while True: pass\n');
  await page.locator('#run').click();
  await page.getByRole('button', { name: 'Stop' }).click();
  await result.getByText('Stopped.').waitFor();
  await page.locator('#actors tbody th', { hasText: 'picky' }).waitFor();
});

/* The ratio of WCAG, of each text to what is behind it. */
const findPale = () => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((one) => one / 255)
      .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const inner = at.querySelector?.(':scope > .box');
      const style = getComputedStyle(inner ?? at);
      const colour = parse(inner && style.fill !== 'none' ? style.fill : style.backgroundColor);
      if (colour.length >= 3 && (colour[3] ?? 1) > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const pale = [];
  for (const element of document.querySelectorAll('body *')) {
    const has = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!has || !element.checkVisibility() || element.closest('title, noscript, .skip, option')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(element.closest('svg') ? style.fill : style.color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) pale.push(`${element.tagName} ${element.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return pale;
};

for (const colorScheme of ['light', 'dark']) {
  await test(`it can be read where it is ${colorScheme}`, async (on) => {
    const page = on.current = await open({ colorScheme });
    await node(page, 'square').click();
    await page.locator('#run').click();
    await page.locator('#result').getByText(/^Done in/).waitFor();
    await page.locator('.graph .edge.lit').first().waitFor({ state: 'attached' });
    await page.locator('#errors summary').first().click();
    assert.deepEqual(await page.evaluate(findPale), []);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(Number(ground.match(/\d+/)[0]) < 128, colorScheme === 'dark');
    await picture(page, colorScheme);
  });
}

await test('a phone shows it without scrolling to the side', async (on) => {
  const page = on.current = await open({
    viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true,
  });
  await node(page, 'count').tap();
  await page.getByText('Nodes as a table').tap();
  await page.locator('#errors summary').first().tap();
  await page.locator('#run').tap();
  await page.locator('#result').getByText(/^Done in/).waitFor();
  await page.locator('.graph .edge.lit').first().waitFor({ state: 'attached' });
  assert(await isNarrow(page), 'the page is wider than the phone');
  await picture(page, 'phone');
});

await test('who wants no motion sees none', async (on) => {
  const page = on.current = await open({ reducedMotion: 'reduce' });
  await page.locator('.graph .edge.lit').first().waitFor({ state: 'attached' });
  assert.equal(await page.locator('.graph .edge.lit').first()
    .evaluate((one) => getComputedStyle(one).animationName), 'none');
});

await test('a daemon that is gone is said to be, and found again', async (on) => {
  const page = on.current = await open();
  await node(page, 'sum').waitFor();
  await daemon.stop('SIGKILL');
  await page.locator('#status', { hasText: /Not reached since \d\d:\d\d:\d\d/ }).waitFor();
  assert(await page.locator('body.stale').count() === 1);
  assert.deepEqual(await page.evaluate(findPale), []);
  await picture(page, 'gone', false);
  await daemon.startWithFlows();
  await page.getByRole('button', { name: 'Try now' }).waitFor({ state: 'hidden' });
  await live(page);
  await page.locator('#actors tbody th', { hasText: 'double' }).waitFor();
  complaints.splice(0);
});

await daemon.stop();
await daemon.start('--tokens', join(daemon.folder, 'tokens'));

await test('where there are tokens it asks for one', async (on) => {
  const page = on.current = await open();
  await page.getByRole('dialog', { name: 'A token is needed' }).waitFor();
  await page.screenshot({ path: join(pictures, 'token.png') });
  await page.getByLabel('Token', { exact: true }).fill('0123456789abcdef-no');
  await page.keyboard.press('Enter');
  await page.getByText('does not know this token').waitFor();
  await page.getByLabel('Token', { exact: true }).fill(SECRET);
  await page.keyboard.press('Enter');
  await live(page);
  await page.locator('#run').click();
  await page.locator('#result').getByText(/^Done in/).waitFor();
  await page.reload();
  await live(page); /* it is remembered in this tab */
  await page.getByRole('button', { name: 'Forget token' }).click();
  await page.getByRole('dialog').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  complaints.splice(0);
});

await browser.close();
await daemon.close();
console.log(`1..${number}`);
process.exit(failed === 0 ? 0 : 1);
