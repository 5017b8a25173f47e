/* SPDX-License-Identifier: Apache-2.0 */
/* Large messages from script to script: where micro-VMs read each other's, none
 * of their bytes is copied. */
#include "story_flow.h"

#define LEN (16u << 20)

/* The middle of a longer buffer, whose rest is 0xc5. */
#define PRODUCER                                                               \
    "def process(c):\n"                                                        \
    "    n = c.get_input('in')\n"                                              \
    "    whole = c.output_buffer('out', 16000000)\n"                           \
    "    whole[:] = b'\\xc5' * len(whole)\n"                                   \
    "    whole[5000:-5000] = b's' * (len(whole) - 10000)\n"                    \
    "    return {'out': whole[5000:-5000]}\n"
#define PASS                                                                   \
    "def process(c):\n"                                                        \
    "    return {'out': c.get_input('in')}\n"
#define COUNT                                                                  \
    "def process(c):\n"                                                        \
    "    v = c.get_input('in')\n"                                              \
    "    return {'out': bytes(v).count(b's')}\n"
#define SENT 15990000

static uint64_t copied; /* by all nodes */

static void add_copied(void *context, const struct gbx_node_stats *stats)
{
    (void)context;
    copied += stats->copied_bytes;
}

/* How much was copied; the flow is closed. */
static uint64_t drain_and_count(void)
{
    copied = 0;
    assert_int_equal(gbx_flow_drain(flow, soon(60)), 0);
    gbx_flow_stats(flow, add_copied, NULL);
    gbx_flow_close(flow);
    return copied;
}

/* At each place where something is shown, less than two pages are copied; and
 * where nothing can be, it is copied into each reader. */
static void expect_copied(uint64_t bytes, uint64_t messages)
{
    if (story_is("microvm"))
        assert_in_range(bytes, 0, messages * 2 * 4096);
    else
        assert_in_range(bytes, messages * SENT, messages * (LEN + 4096));
}

static void give_bytes(struct story *s, const char *port, const void *bytes,
                       size_t count)
{
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = bytes, .body_bytes = count};

    if (gbx_flow_send(flow, port, &m, 0, &s->err) < 0)
        fail_msg("%s", s->err.what);
}

static void a_stream_goes_through_three_as_it_lies(void **state)
{
    static uint8_t bytes[LEN];
    struct story *s = *state;
    uint64_t all;

    open_flow(s);
    add(s, "a", PASS, NULL);
    add(s, "b", PASS, NULL);
    add(s, "c", PASS, NULL);
    wire(s, "a", "b");
    wire(s, "b", "c");
    begin(s, "c", "out");
    bytes[0] = 1;
    bytes[LEN - 1] = 9;
    for (int i = 0; i < 5; i++)
        give_bytes(s, "a.in", bytes, LEN);
    all = drain_and_count();
    assert_int_equal(seen.count, 5);
    assert_int_equal(seen.bytes, LEN);
    assert_int_equal(seen.first_byte, 1);
    assert_int_equal(seen.last_byte, 9);
    expect_copied(all, 15);
}

static void an_array_of_numbers_keeps_its_form(void **state)
{
    struct story *s = *state;
    uint64_t all;

    open_flow(s);
    add(s, "a",
        "import array\n"
        "def process(c):\n"
        "    n = 1 << 22\n"
        "    a = c.output_array('out', 'int32', (n,))\n"
        "    a[:] = memoryview(array.array('i', range(n)))\n"
        "    return {'out': a}\n",
        NULL);
    add(s, "b", PASS, NULL);
    add(s, "c",
        "def process(c):\n"
        "    v = c.get_input('in')\n"
        "    good = v.format == 'i' and v.shape == (1 << 22,)\n"
        "    return {'out': v[12345] + v[-1] if good else -1}\n",
        NULL);
    wire(s, "a", "b");
    wire(s, "b", "c");
    begin(s, "c", "out");
    for (int64_t i = 0; i < 3; i++)
        give(s, "a.in", i);
    all = drain_and_count();
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.sum, 3 * (12345 + (1 << 22) - 1));
    expect_copied(all, 6);
}

static void all_readers_of_one_see_it(void **state)
{
    struct story *s = *state;
    uint64_t all;

    open_flow(s);
    add(s, "a", PRODUCER, NULL);
    add(s, "b", COUNT, NULL);
    add(s, "c", COUNT, NULL);
    wire(s, "a", "b");
    wire(s, "a", "c");
    if (gbx_flow_add_outport(flow, "other", "b", "out", &s->err) < 0)
        fail_msg("%s", s->err.what);
    begin(s, "c", "out");
    for (int64_t i = 0; i < 4; i++)
        give(s, "a.in", i);
    all = drain_and_count();
    assert_int_equal(seen.count, 8);
    assert_int_equal(seen.sum, 8 * SENT);
    expect_copied(all, 8);
}

/* a's large message is for b alone: c, which has a part of the same memory, has
 * only that part. */
static void only_an_edge_is_read(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "def process(c):\n"
        "    whole = c.output_buffer('out', 4000000)\n"
        "    whole[:] = b'\\xc5' * len(whole)\n"
        "    whole[5000:105000] = b's' * 100000\n"
        "    return {'all': whole, 'out': whole[5000:105000]}\n",
        NULL);
    add(s, "b",
        "import time\n"
        "def process(c):\n"
        "    v = c.get_input('in')\n"
        "    time.sleep(0.5)\n"
        "    return {'out': 1000 * (bytes(v).count(b'\\xc5') == 3900000)}\n",
        NULL);
    add(s, "c", STORY_SEARCHER, NULL);
    if (gbx_flow_connect(flow, "a", "all", "b", "in", &s->err) < 0)
        fail_msg("%s", s->err.what);
    wire(s, "a", "c");
    if (gbx_flow_add_outport(flow, "other", "c", "v", &s->err) < 0)
        fail_msg("%s", s->err.what);
    begin(s, "b", "out");
    give(s, "a.in", 1);
    drain_and_close();
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.sum, 1000);
    assert_int_equal(seen.letters, 0);
}

/* More than the producer's memory could hold, if a reader's death kept it. */
static void a_reader_that_dies_keeps_nothing(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a", PRODUCER, NULL);
    add(s, "b",
        "import os\n"
        "def process(c):\n"
        "    v = c.get_input('in')\n"
        "    os._exit(3)\n",
        "{\"retries\": 0}");
    wire(s, "a", "b");
    begin(s, "b", "out");
    for (int64_t i = 0; i < 12; i++)
        give(s, "a.in", i);
    assert_int_equal(gbx_flow_drain(flow, soon(60)), 0);
    gbx_flow_close(flow);
    assert_int_equal(seen.letters, 12);
    assert_non_null(strstr(seen.reason, "3"));
}

/* What it has sent is read after its end. */
static void a_producer_that_dies_has_sent(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "import os\n"
        "def process(c):\n"
        "    whole = c.output_buffer('out', 15990000)\n"
        "    whole[:] = b's' * len(whole)\n"
        "    c.send_output('out', whole)\n"
        "    if c.get_input('in') % 2: os._exit(3)\n",
        "{\"retries\": 0}");
    add(s, "b", COUNT, NULL);
    wire(s, "a", "b");
    begin(s, "b", "out");
    for (int64_t i = 0; i < 6; i++)
        give(s, "a.in", i);
    assert_int_equal(gbx_flow_drain(flow, soon(60)), 0);
    gbx_flow_close(flow);
    assert_int_equal(seen.letters, 3);
    /* What a failed run sent is sent. */
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.sum, 6 * SENT);
}

static void a_producer_that_is_removed_has_sent(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a", PRODUCER, NULL);
    add(s, "b",
        "import time\n"
        "def process(c):\n"
        "    time.sleep(0.05)\n"
        "    return {'out': bytes(c.get_input('in')).count(b's')}\n",
        NULL);
    wire(s, "a", "b");
    begin(s, "b", "out");
    give(s, "a.in", 1);
    while (true) { /* until it has sent */
        size_t count;

        pthread_mutex_lock(&lock);
        count = seen.count;
        pthread_mutex_unlock(&lock);
        if (count > 0)
            break;
        usleep(1000);
    }
    give(s, "a.in", 2);
    give(s, "a.in", 3);
    assert_int_equal(gbx_flow_drain(flow, soon(60)), 0);
    if (gbx_flow_remove_node(flow, "a", &s->err) < 0)
        fail_msg("%s", s->err.what);
    gbx_flow_close(flow);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.sum, 3 * SENT);
}

static void a_letter_has_all_of_it(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a", PRODUCER, NULL);
    add(s, "b",
        "def process(c):\n"
        "    raise ValueError(bytes(c.get_input('in')).count(b's'))\n",
        "{\"retries\": 2, \"backoff_ms\": 1}");
    wire(s, "a", "b");
    begin(s, "b", "out");
    give(s, "a.in", 1);
    drain_and_close();
    assert_int_equal(seen.letters, 1);
    assert_string_equal(seen.reason, "ValueError: 15990000");
    assert_int_equal(seen.letter_bytes, SENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_stream_goes_through_three_as_it_lies),
        story_test(an_array_of_numbers_keeps_its_form),
        story_test(all_readers_of_one_see_it),
        story_test(only_an_edge_is_read),
        story_test(a_reader_that_dies_keeps_nothing),
        story_test(a_producer_that_dies_has_sent),
        story_test(a_producer_that_is_removed_has_sent),
        story_test(a_letter_has_all_of_it),
    };

    return story_main("large messages of a flow", tests);
}
