/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.c - the host calls behind context.state.
 *
 *  get [key] -> [] or [value]          set [key, value] -> null
 *  delete [key] -> was it there        exists [key] -> is it there
 *  increment [key, n] -> the sum       decrement [key, n] -> the difference
 *  push [key, value] -> length         extend [key, [value ...]] -> length
 *  pop [key] -> [] or [the first]
 *  expire [key, seconds] -> was it there
 *  ttl [key] -> seconds left, rounded up; -1 it stays, -2 it is not there
 *  keys [pattern] -> [key ...], sorted; patterns as in store/glob.h
 *  size [] -> how many keys            clear [] -> null
 *  get_all [] -> {key: value ...}      set_all [{key: value ...}] -> null
 *
 * They mean what Reflow's Redis store means by them: push appends and pop takes
 * from the front, so that a list is a queue; set and set_all forget an expiry,
 * the others keep it; seconds of 0 or less delete.  Other than in Redis a list
 * is a value like any other: get and set know it, and an empty one is there.
 *
 * Decode, then do.  Each call reads all of its arguments before it looks at the
 * store; then it makes aside what is new, checks the limit, builds its answer;
 * only then, when nothing can fail any more, it changes the store.
 *
 * A list is kept as the CBOR array that was set until it is first pushed to or
 * popped from; from then on as a chain of its elements.
 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "store/store.h"
#include "store/change.h"
#include "store/glob.h"

#define GLOB_STEPS (1ll << 28) /* in one call: about a second */

static void build_value(struct gbx_builder *b, const struct store_entry *entry)
{
    const struct store_item *item = entry->value.first;

    if (entry->is_list)
        gbx_build_array(b, entry->value.count);
    for (; item != NULL; item = item->next)
        gbx_build_item(b, item->cbor, item->bytes);
}

static int do_get(struct store_table *table, const struct store_input *in,
                  struct gbx_builder *answer, struct gbx_error *err)
{
    const struct store_entry *entry = store_table_find(table, in->key);

    (void)err;
    gbx_build_array(answer, entry != NULL);
    if (entry != NULL)
        build_value(answer, entry);
    return 0;
}

static int put(struct store_table *table, const struct store_input *in,
               const struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_change change;
    int rc;

    store_change_begin(&change, table, in);
    rc = store_change_add(&change, in, in->value.at, in->value.bytes, err);
    if (rc == 0)
        rc = store_change_commit(&change, table, in, answer, err);
    if (rc == 0)
        store_table_expire(table, change.entry, 0);
    store_change_fini(&change);
    return rc;
}

static int do_set(struct store_table *table, const struct store_input *in,
                  struct gbx_builder *answer, struct gbx_error *err)
{
    gbx_build_null(answer);
    return put(table, in, answer, err);
}

static int do_delete(struct store_table *table, const struct store_input *in,
                     struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_entry *entry = store_table_find(table, in->key);
    int rc;

    gbx_build_boolean(answer, entry != NULL);
    rc = store_change_settle(in, answer, err);
    if (rc == 0 && entry != NULL)
        store_table_remove(table, entry);
    return rc;
}

static double real_of(const struct gbx_item *number)
{
    return number->kind == GBX_ITEM_FLOAT ? number->value.real
                                          : (double)number->value.integer;
}

/* Build a + sign * b, both INTEGER or FLOAT.  Returns false out of range. */
static bool build_sum(struct gbx_builder *answer, const struct gbx_item *a,
                      int sign, const struct gbx_item *b)
{
    double real = real_of(a) + sign * real_of(b);
    int64_t x = a->value.integer, y = b->value.integer, sum;

    if (a->kind == GBX_ITEM_INTEGER && b->kind == GBX_ITEM_INTEGER) {
        if (sign > 0 ? __builtin_add_overflow(x, y, &sum)
                     : __builtin_sub_overflow(x, y, &sum))
            return false;
        gbx_build_integer(answer, sum);
        return true;
    }
    gbx_build_float(answer, real);
    return isfinite(real);
}

/* What the key holds: 0 of none there. */
static void read_old(struct gbx_item *old, const struct store_entry *entry)
{
    struct gbx_reader r;

    *old = (struct gbx_item){.kind = GBX_ITEM_INTEGER};
    if (entry == NULL)
        return;
    old->kind = GBX_ITEM_ARRAY;
    if (entry->is_list)
        return;
    gbx_reader_init(&r, entry->value.first->cbor, entry->value.first->bytes);
    must(gbx_read(&r, old) == 0);
}

static int add_to(struct store_table *table, const struct store_input *in,
                  int sign, struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_change change;
    struct gbx_item old;
    int rc;

    store_change_begin(&change, table, in);
    read_old(&old, change.entry);
    if (old.kind != GBX_ITEM_INTEGER && old.kind != GBX_ITEM_FLOAT)
        return fail(err, GBX_EARGUMENT,
                    "%s: \"%.*s\" holds no number of 64 bits: set or delete "
                    "it first",
                    in->call, store_input_shown(in), in->key.text);
    if (!build_sum(answer, &old, sign, &in->head))
        return fail(err, GBX_EARGUMENT,
                    "%s: \"%.*s\" would leave the range of its numbers",
                    in->call, store_input_shown(in), in->key.text);
    rc = store_change_settle(in, answer, err);
    if (rc == 0)
        rc = store_change_add(&change, in, answer->bytes, answer->count, err);
    if (rc == 0)
        rc = store_change_commit(&change, table, in, answer, err);
    store_change_fini(&change);
    return rc;
}

static int do_increment(struct store_table *table, const struct store_input *in,
                        struct gbx_builder *answer, struct gbx_error *err)
{
    return add_to(table, in, 1, answer, err);
}

static int do_decrement(struct store_table *table, const struct store_input *in,
                        struct gbx_builder *answer, struct gbx_error *err)
{
    return add_to(table, in, -1, answer, err);
}

static int do_push(struct store_table *table, const struct store_input *in,
                   struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_change change;
    int rc = store_change_begin_list(&change, table, in, err);

    /* It comes back in a list, in an answer. */
    if (rc == 0 && in->value.levels + 2 > GBX_CBOR_DEPTH_MAX)
        rc = fail(err, GBX_ELIMIT, "%s: a value nested %u deep; %u can be",
                  in->call, in->value.levels, GBX_CBOR_DEPTH_MAX - 2);
    if (rc == 0)
        rc = store_change_add(&change, in, in->value.at, in->value.bytes, err);
    if (rc == 0) {
        gbx_build_unsigned(answer, store_change_count(&change));
        rc = store_change_commit(&change, table, in, answer, err);
    }
    store_change_fini(&change);
    return rc;
}

static int do_extend(struct store_table *table, const struct store_input *in,
                     struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_change change;
    int rc = store_change_begin_list(&change, table, in, err);

    if (rc == 0)
        rc = store_change_add_all(&change, in, in->value, in->head.count, err);
    if (rc == 0) {
        gbx_build_unsigned(answer, store_change_count(&change));
        rc = store_change_commit(&change, table, in, answer, err);
    }
    store_change_fini(&change);
    return rc;
}

static int do_pop(struct store_table *table, const struct store_input *in,
                  struct gbx_builder *answer, struct gbx_error *err)
{
    const struct store_item *first;
    struct store_change change;
    int rc = store_change_begin_list(&change, table, in, err);

    first = rc == 0 ? store_change_first(&change) : NULL;
    gbx_build_array(answer, first != NULL);
    if (first != NULL) {
        gbx_build_item(answer, first->cbor, first->bytes);
        rc = store_change_commit(&change, table, in, answer, err);
        if (rc == 0)
            store_table_shift(table, change.entry);
    }
    store_change_fini(&change);
    return rc;
}

/* When these seconds are over; 0: they are already. */
static int read_seconds(uint64_t *expires_ns, const struct store_input *in,
                        struct gbx_error *err)
{
    double seconds = in->head.kind == GBX_ITEM_FLOAT
                         ? in->head.value.real
                         : (double)in->head.value.integer;

    if (isnan(seconds) || seconds > STORE_SECONDS_MAX)
        return fail(err, GBX_EARGUMENT,
                    "%s: the seconds are more than %u, or no number", in->call,
                    STORE_SECONDS_MAX);
    *expires_ns = seconds > 0 ? in->now_ns + (uint64_t)(seconds * 1e9) : 0;
    return 0;
}

static int do_expire(struct store_table *table, const struct store_input *in,
                     struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_entry *entry = store_table_find(table, in->key);
    uint64_t expires_ns = 0;
    int rc = read_seconds(&expires_ns, in, err);

    if (rc < 0)
        return rc;
    gbx_build_boolean(answer, entry != NULL);
    rc = store_change_settle(in, answer, err);
    if (rc < 0 || entry == NULL)
        return rc;
    if (expires_ns == 0)
        store_table_remove(table, entry);
    else
        store_table_expire(table, entry, expires_ns);
    return 0;
}

static int do_ttl(struct store_table *table, const struct store_input *in,
                  struct gbx_builder *answer, struct gbx_error *err)
{
    const struct store_entry *entry = store_table_find(table, in->key);
    uint64_t left_ns;

    (void)err;
    if (entry == NULL || entry->expires_ns == 0) {
        gbx_build_integer(answer, entry == NULL ? -2 : -1);
    } else {
        left_ns = entry->expires_ns - in->now_ns; /* > 0: it was not swept */
        gbx_build_unsigned(answer, (left_ns + 999999999) / 1000000000);
    }
    return 0;
}

static int do_exists(struct store_table *table, const struct store_input *in,
                     struct gbx_builder *answer, struct gbx_error *err)
{
    (void)err;
    gbx_build_boolean(answer, store_table_find(table, in->key) != NULL);
    return 0;
}

struct search {
    struct store_key pattern;
    struct gbx_builder found; /* owned */
    uint64_t count;
    int64_t steps;
};

static void add_found(void *context, const struct store_entry *entry)
{
    struct search *search = context;

    if (!store_glob(search->pattern, entry->key, &search->steps))
        return;
    search->count++;
    gbx_build_text(&search->found, entry->key.text, entry->key.bytes);
}

static int do_keys(struct store_table *table, const struct store_input *in,
                   struct gbx_builder *answer, struct gbx_error *err)
{
    struct search search = {.pattern = in->key, .steps = GLOB_STEPS};
    int rc;

    gbx_builder_init(&search.found);
    store_table_walk(table, add_found, &search);
    gbx_build_array(answer, search.count);
    if (search.count > 0)
        gbx_build_item(answer, search.found.bytes, search.found.count);
    if (search.steps <= 0)
        rc = fail(err, GBX_ELIMIT,
                  "%s: the pattern takes too long for so many keys: use fewer "
                  "* in it",
                  in->call);
    else
        rc = store_change_settle(in, &search.found, err);
    gbx_builder_fini(&search.found);
    return rc;
}

/* The table is an empty one already. */
static int do_clear(struct store_table *table, const struct store_input *in,
                    struct gbx_builder *answer, struct gbx_error *err)
{
    (void)table;
    gbx_build_null(answer);
    return store_change_settle(in, answer, err);
}

static int do_size(struct store_table *table, const struct store_input *in,
                   struct gbx_builder *answer, struct gbx_error *err)
{
    (void)in;
    (void)err;
    gbx_build_unsigned(answer, table->count);
    return 0;
}

static void add_pair(void *context, const struct store_entry *entry)
{
    struct gbx_builder *answer = context;

    gbx_build_text(answer, entry->key.text, entry->key.bytes);
    build_value(answer, entry);
}

static int do_get_all(struct store_table *table, const struct store_input *in,
                      struct gbx_builder *answer, struct gbx_error *err)
{
    (void)in;
    (void)err;
    gbx_build_map(answer, table->count);
    store_table_walk(table, add_pair, answer);
    return 0;
}

/* The same. */
static int do_set_all(struct store_table *table, const struct store_input *in,
                      struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_input pair = {.call = in->call};
    struct store_steps steps;
    int rc;

    gbx_build_null(answer);
    rc = store_change_settle(in, answer, err);
    store_input_enter(&steps, in->value);
    for (uint64_t i = 0; i < in->head.count && rc == 0; i++) {
        store_input_step(&steps, &pair.value, &pair.head);
        rc = store_input_key(&pair, &pair.head, err);
        store_input_step(&steps, &pair.value, &pair.head);
        if (rc == 0)
            rc = put(table, &pair, answer, err);
    }
    if (rc < 0)
        store_table_fini(table);
    return rc;
}

typedef int (*do_fn)(struct store_table *table, const struct store_input *in,
                     struct gbx_builder *answer, struct gbx_error *err);

/* All of it is dropped for what fn makes, if that succeeds. */
static int replace(struct store_journal *journal, const struct store_input *in,
                   do_fn fn, struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_table *table = &journal->store->table;
    struct store_table was = *table;
    int rc;

    *table = (struct store_table){0};
    rc = fn(table, in, answer, err);
    if (rc < 0)
        *table = was; /* it has left an empty one */
    else
        store_journal_replace_locked(journal, &was);
    return rc;
}

struct question {
    const char *call, *shape;
    enum store_reach reach;
    do_fn fn;
};

static int serve(struct store_journal *journal, const struct question *question,
                 const struct gbx_message *arguments,
                 struct gbx_builder *answer, struct gbx_error *err)
{
    struct store *store = journal->store;
    struct store_journal once = {.store = store, .may_wait = true};
    struct store_input in;
    int rc = store_input_decode(&in, question->call, question->shape, arguments,
                                err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&store->lock);
    if (journal->is_alone)
        journal = &once;
    rc = store_journal_hold_locked(journal, question->reach, &in, err);
    in.now_ns = store->now_ns();
    if (rc == 0)
        rc = question->reach == STORE_CHANGES_ALL
                 ? replace(journal, &in, question->fn, answer, err)
                 : question->fn(&store->table, &in, answer, err);
    if (rc == 0)
        rc = store_journal_commit_locked(&once, err);
    store_journal_end_locked(&once, false);
    pthread_mutex_unlock(&store->lock);
    return rc < 0 ? rc : store_change_settle(&in, answer, err);
}

/* X(name, its arguments' shape, what it does to which keys) */
#define CALLS(X)                                                               \
    X(get, "k", READS)                                                         \
    X(set, "kv", CHANGES)                                                      \
    X(delete, "k", CHANGES)                                                    \
    X(increment, "kn", CHANGES)                                                \
    X(decrement, "kn", CHANGES)                                                \
    X(push, "kv", CHANGES)                                                     \
    X(pop, "k", CHANGES)                                                       \
    X(extend, "kl", CHANGES)                                                   \
    X(expire, "kn", CHANGES)                                                   \
    X(ttl, "k", READS)                                                         \
    X(exists, "k", READS)                                                      \
    X(keys, "p", READS_ALL)                                                    \
    X(clear, "", CHANGES_ALL)                                                  \
    X(size, "", READS_ALL)                                                     \
    X(get_all, "", READS_ALL)                                                  \
    X(set_all, "m", CHANGES_ALL)

#define X(name, shape, reach)                                                  \
    static int call_##name(void *journal, const struct gbx_message *arguments, \
                           struct gbx_builder *answer, struct gbx_error *err)  \
    {                                                                          \
        static const struct question question = {"state." #name, shape,        \
                                                 STORE_##reach, do_##name};    \
                                                                               \
        return serve(journal, &question, arguments, answer, err);              \
    }
CALLS(X)
#undef X

const struct store_call store_calls[STORE_CALLS] = {
#define X(name, shape, reach) {"state." #name, call_##name},
    CALLS(X)
#undef X
};

const struct store_call *store_call_find(const char *name)
{
    for (size_t i = 0; i < STORE_CALLS; i++)
        if (strcmp(store_calls[i].name, name) == 0)
            return &store_calls[i];
    return NULL;
}
