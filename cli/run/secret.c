/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/run/secret.h"

void secret_add(struct secret_options *secrets, char *text,
                struct argp_state *state)
{
    struct gbx_secret *secret = &secrets->all[secrets->count];
    char *own = secrets->sources[secrets->count], *equals = strchr(text, '=');
    const size_t bytes =
        equals != NULL ? (size_t)(equals - text) : strlen(text);

    if (secrets->count == GBX_SECRETS_MAX)
        argp_error(state, "more than %d times --secret", GBX_SECRETS_MAX);
    if (bytes == 0 || bytes > GBX_SECRET_NAME_MAX)
        argp_error(state, "--secret: a name has 1 to %d bytes",
                   GBX_SECRET_NAME_MAX);
    if (equals != NULL)
        *equals = '\0';
    *secret = (struct gbx_secret){.name = text};
    if (equals == NULL) {
        snprintf(own, sizeof(secrets->sources[0]), "env:%s", text);
        secret->source = own;
    } else if (strncmp(equals + 1, "env:", 4) == 0 ||
               strncmp(equals + 1, "file:", 5) == 0) {
        secret->source = equals + 1;
    } else { /* not what it says: it may be the secret itself */
        argp_error(state,
                   "--secret %s: env:VARIABLE or file:PATH is expected; a "
                   "value would be seen by all who list processes",
                   text);
    }
    secrets->count++;
}
