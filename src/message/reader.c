/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - a walk over one CBOR item, in the order it is written.
 *
 * The bytes come from a guest, so nothing they claim is believed: a count of
 * items must be covered by as many bytes, a length by what is left, and nesting
 * stops at GBX_CBOR_DEPTH_MAX.  There is no recursion and no allocation; the
 * walk's state is one number for each open array or map:
 *
 *   left[0]   left[1]   left[depth-1]        items still to come; a pair is two
 *  +---------+---------+-------------+
 *  | outer   | inner   | innermost   |       ENDS_BY_BREAK is set where a break
 *  +---------+---------+-------------+       byte follows the last of them
 *
 * An array of indefinite length is counted ahead, so that every reader gets a
 * count.  Nested ones are counted once for each that is around them: at most
 * GBX_CBOR_DEPTH_MAX looks at a byte, each cheaper than reading it.
 *
 * Strings in pieces are refused: they do not lie in one place to be borrowed.
 */
#include <string.h>

#include "base/utf8.h"
#include "message/inner.h"

#define ENDS_BY_BREAK (1ull << 63)
#define UNTIL_BREAK   UINT64_MAX

void gbx_reader_init(struct gbx_reader *r, const void *bytes, size_t count)
{
    r->bytes = bytes;
    r->count = count;
    r->at = 0;
    r->depth = 0;
    r->error = 0;
}

static bool is_break(const struct gbx_cbor_head *head)
{
    return head->major == GBX_CBOR_SIMPLE && head->info == GBX_CBOR_INDEFINITE;
}

/*
 * Step over one head and, of a string, its content.  *children says how many
 * items belong to it, or UNTIL_BREAK.
 */
static int skip_head(const struct gbx_reader *r, size_t *at,
                     struct gbx_cbor_head *head, uint64_t *children)
{
    int rc = message_read_head(head, r->bytes, r->count, at);
    bool open = head->info == GBX_CBOR_INDEFINITE;

    *children = 0;
    if (rc < 0)
        return rc;
    switch ((enum gbx_cbor_major)head->major) {
    case GBX_CBOR_BYTES:
    case GBX_CBOR_TEXT:
        if (open)
            return GBX_EFORMAT;
        if (head->value > r->count - *at)
            return GBX_EBOUNDS;
        *at += (size_t)head->value;
        return 0;
    case GBX_CBOR_ARRAY:
    case GBX_CBOR_MAP:
        *children = UNTIL_BREAK;
        if (open)
            return 0;
        if (head->value > r->count - *at)
            return GBX_EBOUNDS;
        *children = head->major == GBX_CBOR_MAP ? 2 * head->value : head->value;
        return 0;
    case GBX_CBOR_UNSIGNED:
    case GBX_CBOR_NEGATIVE:
    case GBX_CBOR_TAG:
        return open ? GBX_EFORMAT : 0;
    case GBX_CBOR_SIMPLE:
        return 0;
    }
    return GBX_EFORMAT;
}

/* Count the items from here to the break that ends this container. */
static int count_ahead(const struct gbx_reader *r, uint64_t *items)
{
    uint64_t left[GBX_CBOR_DEPTH_MAX], children;
    uint32_t level = 0, room = GBX_CBOR_DEPTH_MAX - r->depth;
    bool tagged = false;
    size_t at = r->at;

    left[0] = UNTIL_BREAK;
    *items = 0;
    for (;;) {
        struct gbx_cbor_head head;
        int rc = skip_head(r, &at, &head, &children);
        if (rc < 0)
            return rc;
        if (is_break(&head)) {
            if (tagged || left[level] != UNTIL_BREAK)
                return GBX_EFORMAT;
            if (level == 0)
                return 0;
            level--; /* the item that ends here was counted at its head */
        } else if (!tagged) {
            *items += level == 0;
            if (left[level] != UNTIL_BREAK)
                left[level]--;
        }
        tagged = head.major == GBX_CBOR_TAG;
        if (children > 0) {
            if (++level >= room)
                return GBX_EFORMAT;
            left[level] = children;
        }
        while (!tagged && left[level] == 0)
            level--;
    }
}

/* Leave every container whose items have all been read. */
static int leave_finished(struct gbx_reader *r)
{
    while (r->depth > 0 && (r->left[r->depth - 1] & ~ENDS_BY_BREAK) == 0) {
        if (r->left[r->depth - 1] & ENDS_BY_BREAK) {
            if (r->at >= r->count || r->bytes[r->at] != 0xff)
                return GBX_EFORMAT;
            r->at++;
        }
        r->depth--;
    }
    return 0;
}

static int enter(struct gbx_reader *r, struct gbx_item *item,
                 const struct gbx_cbor_head *head)
{
    uint64_t factor = head->major == GBX_CBOR_MAP ? 2 : 1, items, flag = 0;
    int rc;

    if (r->depth == GBX_CBOR_DEPTH_MAX)
        return GBX_EFORMAT;
    if (head->info == GBX_CBOR_INDEFINITE) {
        rc = count_ahead(r, &items);
        if (rc < 0)
            return rc;
        if (items % factor != 0)
            return GBX_EFORMAT; /* a key without a value */
        flag = ENDS_BY_BREAK;
    } else {
        if (head->value > (r->count - r->at) / factor)
            return GBX_EBOUNDS;
        items = head->value * factor;
    }
    item->kind = factor == 2 ? GBX_ITEM_MAP : GBX_ITEM_ARRAY;
    item->count = items / factor;
    r->left[r->depth++] = items | flag;
    return 0;
}

static int read_string(struct gbx_reader *r, struct gbx_item *item,
                       const struct gbx_cbor_head *head)
{
    bool text = head->major == GBX_CBOR_TEXT;

    if (head->info == GBX_CBOR_INDEFINITE)
        return GBX_EFORMAT;
    if (head->value > r->count - r->at)
        return GBX_EBOUNDS;
    item->kind = text ? GBX_ITEM_TEXT : GBX_ITEM_BYTES;
    item->bytes = r->bytes + r->at;
    item->count = head->value;
    if (text && !utf8_valid(item->bytes, (size_t)item->count))
        return GBX_EFORMAT;
    r->at += (size_t)head->value;
    return 0;
}

static int read_simple(struct gbx_item *item, const struct gbx_cbor_head *head)
{
    uint32_t bits = (uint32_t)head->value;
    float single;

    switch (head->info) {
    case 20:
    case 21:
        item->kind = GBX_ITEM_BOOLEAN;
        item->value.boolean = head->info == 21;
        return 0;
    case 22: /* null */
    case 23: /* undefined */
        item->kind = GBX_ITEM_NULL;
        return 0;
    case 25:
        item->value.real = message_half((uint16_t)bits);
        break;
    case 26:
        memcpy(&single, &bits, sizeof(single));
        item->value.real = (double)single;
        break;
    case 27:
        memcpy(&item->value.real, &head->value, sizeof(item->value.real));
        break;
    default: /* a break where none can be, or a value that nobody defined */
        return GBX_EFORMAT;
    }
    item->kind = GBX_ITEM_FLOAT;
    return 0;
}

static int read_typed(struct gbx_reader *r, struct gbx_item *item)
{
    size_t head_bytes;
    int rc = message_array_head(&item->array, &head_bytes, r->bytes + r->at,
                                r->count - r->at);

    if (rc < 0)
        return rc;
    r->at += head_bytes;
    if (item->array.data_bytes > r->count - r->at)
        return GBX_EBOUNDS;
    item->kind = GBX_ITEM_TYPED;
    item->array.data = r->bytes + r->at;
    r->at += item->array.data_bytes;
    return 0;
}

/* What comes after the tags. */
static int read_plain(struct gbx_reader *r, struct gbx_item *item,
                      const struct gbx_cbor_head *head)
{
    bool open = head->info == GBX_CBOR_INDEFINITE;

    switch ((enum gbx_cbor_major)head->major) {
    case GBX_CBOR_UNSIGNED:
        item->kind =
            head->value > INT64_MAX ? GBX_ITEM_UNSIGNED : GBX_ITEM_INTEGER;
        item->value.natural = head->value; /* the same bits as integer */
        return open ? GBX_EFORMAT : 0;
    case GBX_CBOR_NEGATIVE:
        item->negative = true;
        item->kind =
            head->value > INT64_MAX ? GBX_ITEM_NEGATIVE : GBX_ITEM_INTEGER;
        if (item->kind == GBX_ITEM_INTEGER)
            item->value.integer = -1 - (int64_t)head->value;
        else
            item->value.natural = head->value;
        return open ? GBX_EFORMAT : 0;
    case GBX_CBOR_BYTES:
    case GBX_CBOR_TEXT:
        return read_string(r, item, head);
    case GBX_CBOR_ARRAY:
    case GBX_CBOR_MAP:
        return enter(r, item, head);
    case GBX_CBOR_SIMPLE:
        return read_simple(item, head);
    case GBX_CBOR_TAG:
        break; /* read_item has taken them all */
    }
    return GBX_EFORMAT;
}

static bool is_bignum(uint64_t tag)
{
    return tag == MESSAGE_TAG_BIGNUM || tag == MESSAGE_TAG_NEGATIVE_BIGNUM;
}

static int read_item(struct gbx_reader *r, struct gbx_item *item)
{
    struct gbx_cbor_head head;
    uint64_t bignum = 0;
    int rc;

    for (;;) {
        size_t start = r->at;
        rc = message_read_head(&head, r->bytes, r->count, &r->at);
        if (rc < 0)
            return rc;
        if (head.major != GBX_CBOR_TAG)
            break;
        if (head.info == GBX_CBOR_INDEFINITE || bignum != 0)
            return GBX_EFORMAT;
        if (head.value == MESSAGE_TAG_SHAPED ||
            (head.value >= MESSAGE_TAG_TYPED_MIN &&
             head.value <= MESSAGE_TAG_TYPED_MAX)) {
            r->at = start;
            return read_typed(r, item);
        }
        if (is_bignum(head.value))
            bignum = head.value;
    }
    if (bignum != 0 && head.major != GBX_CBOR_BYTES)
        return GBX_EFORMAT;
    rc = read_plain(r, item, &head);
    if (bignum != 0) {
        item->kind = GBX_ITEM_BIGNUM;
        item->negative = bignum == MESSAGE_TAG_NEGATIVE_BIGNUM;
    }
    return rc;
}

int gbx_read(struct gbx_reader *r, struct gbx_item *item)
{
    if (r->error < 0)
        return r->error;
    r->error = leave_finished(r);
    if (r->error < 0)
        return r->error;
    if (r->depth == 0 && r->at > 0)
        return GBX_EAGAIN; /* every item has at least a byte: this one ended */
    memset(item, 0, offsetof(struct gbx_item, array));
    item->depth = r->depth;
    if (r->depth > 0)
        r->left[r->depth - 1]--;
    r->error = read_item(r, item);
    return r->error;
}

bool gbx_item_is(const struct gbx_item *item, const char *text)
{
    return item->kind == GBX_ITEM_TEXT && item->count == strlen(text) &&
           memcmp(item->bytes, text, item->count) == 0;
}
