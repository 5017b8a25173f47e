/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "config/config.h"

static const char *const trusts[] = {"untrusted", "trusted", NULL};
static const char *const floors[] = {"process", "microvm", "wasm", NULL};
static const char *const wipes[] = {"never", "per-call", "on-error",
                                    "per-tenant", NULL};

/* What a limit may be, the library says itself. */
#define LEAST(field, least, most) .field = least,
#define MOST(field, least, most)  .field = most,
static const struct gbx_limits limits_least = {GBX_LIMITS(LEAST)};
static const struct gbx_limits limits_most = {GBX_LIMITS(MOST)};
#undef LEAST
#undef MOST

static const struct config_key keys[CONFIG_FIELDS] = {
#define X(field, in, text, what, member, from, to)                             \
    [CONFIG_##                                                                 \
        field] = {.group = in,                                                 \
                  .name = text,                                                \
                  .kind = what,                                                \
                  .off = offsetof(struct config_values, member),               \
                  .bytes = sizeof(((struct config_values *)NULL)->member),     \
                  .least = from,                                               \
                  .most = to,                                                  \
                  .words = CONFIG_##field == CONFIG_TRUST   ? trusts           \
                           : CONFIG_##field == CONFIG_FLOOR ? floors           \
                                                            : wipes},
#include "config/keys.def"
#undef X
};

/* The enums that words stand for begin with 0, which is the default. */
_Static_assert(GBX_TRUST_UNTRUSTED == 1 && GBX_TRUST_TRUSTED == 2, "trusts");
_Static_assert(GBX_ISOLATION_PROCESS == 1 && GBX_ISOLATION_MICROVM == 2 &&
                   GBX_ISOLATION_WASM == 3,
               "floors");
_Static_assert(GBX_WIPE_NEVER == 1 && GBX_WIPE_PER_CALL == 2 &&
                   GBX_WIPE_ON_ERROR == 3 && GBX_WIPE_PER_TENANT == 4,
               "wipes");

/* Where a member of the limits lies in them. */
static uint64_t bound(const struct gbx_limits *limits,
                      const struct config_key *key)
{
    const char *at = (const char *)limits + key->off -
                     offsetof(struct config_values, script.limits);

    return key->bytes == 4 ? *(const uint32_t *)(const void *)at
                           : *(const uint64_t *)(const void *)at;
}

uint64_t config_least(const struct config_key *key)
{
    return key->group[0] == 'l' ? bound(&limits_least, key) : key->least;
}

uint64_t config_most(const struct config_key *key)
{
    return key->group[0] == 'l' ? bound(&limits_most, key) : key->most;
}

const struct config_key *config_key(enum config_field field)
{
    must(field < CONFIG_FIELDS);
    return &keys[field];
}
