/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/message.h"

static int from_json(struct gbx_message *message, struct gbx_builder *b,
                     const char *json, enum gbx_json_form form,
                     struct gbx_error *err)
{
    size_t count = strlen(json);
    char *copy = malloc(count + (count == 0)); /* no NUL at its end */
    int rc;

    memcpy(copy, json, count);
    rc = gbx_message_from_json(message, b, copy, count, form, err);
    free(copy);
    return rc;
}

/* JSON in one form, written in another. */
static void converts(const char *from, enum gbx_json_form from_form,
                     const char *to, enum gbx_json_form to_form)
{
    struct gbx_error err = {0};
    struct gbx_message message;
    struct gbx_builder b;
    char *text;

    gbx_builder_init(&b);
    if (from_json(&message, &b, from, from_form, &err) < 0)
        fail_msg("%s: %s", from, err.what);
    if (gbx_message_to_json(&text, &message, to_form, &err) < 0)
        fail_msg("%s: %s", from, err.what);
    assert_string_equal(text, to);
    free(text);
    gbx_builder_fini(&b);
}

static void refused(const char *json, enum gbx_json_form form, const char *why)
{
    struct gbx_error err = {0};
    struct gbx_message message;
    struct gbx_builder b;

    gbx_builder_init(&b);
    if (from_json(&message, &b, json, form, &err) != GBX_EFORMAT)
        fail_msg("%s: let through", json);
    if (strstr(err.what, why) == NULL)
        fail_msg("%s: \"%s\", not \"%s\"", json, err.what, why);
    assert_int_equal(err.code, GBX_EFORMAT);
    gbx_builder_fini(&b);
}

/* A message of CBOR, written; the text or, of a refusal, what was said. */
static void writes(enum gbx_type type, const void *cbor, size_t count,
                   enum gbx_json_form form, const char *want)
{
    struct gbx_message message = {
        .type = type, .body = cbor, .body_bytes = count};
    struct gbx_error err = {0};
    char *text;
    int rc = gbx_message_to_json(&text, &message, form, &err);

    assert_string_equal(rc == 0 ? text : err.what, want);
    assert_int_equal(rc, rc == 0 ? 0 : GBX_EFORMAT);
    free(text);
}

#define WRITES(type, cbor, form, want)                                         \
    writes(type, cbor, sizeof(cbor) - 1, form, want)

static void all_types_survive_typed_and_serde(void **state)
{
    static const struct {
        const char *typed, *serde, *plain; /* serde NULL: like typed */
    } cases[] = {
        {"{\"type\":\"Flow\"}", NULL, "\"flow\""},
        {"{\"type\":\"Event\",\"data\":{}}",
         "{\"type\":\"Event\",\"data\":{\"data\":[123,125]}}", "{}"},
        {"{\"type\":\"Boolean\",\"data\":true}", NULL, "true"},
        {"{\"type\":\"Integer\",\"data\":42}", NULL, "42"},
        {"{\"type\":\"Float\",\"data\":3.5}", NULL, "3.5"},
        {"{\"type\":\"String\",\"data\":\"hi\"}", NULL, "\"hi\""},
        {"{\"type\":\"Object\",\"data\":{\"k\":\"v\"}}",
         "{\"type\":\"Object\",\"data\":{\"data\":"
         "[123,34,107,34,58,34,118,34,125]}}",
         "{\"k\":\"v\"}"},
        {"{\"type\":\"Array\",\"data\":[1,\"a\"]}",
         "{\"type\":\"Array\",\"data\":[{\"data\":[49]},"
         "{\"data\":[34,97,34]}]}",
         "[1,\"a\"]"},
        {"{\"type\":\"Array\",\"data\":[]}", NULL, "[]"},
        {"{\"type\":\"Stream\",\"data\":[1,2,255]}", NULL, "[1,2,255]"},
        {"{\"type\":\"Stream\",\"data\":[]}", NULL, "[]"},
        {"{\"type\":\"Encoded\",\"data\":[0,10,99,100]}", NULL,
         "[0,10,99,100]"},
        {"{\"type\":\"Optional\",\"data\":null}", NULL, "null"},
        {"{\"type\":\"Optional\",\"data\":7}",
         "{\"type\":\"Optional\",\"data\":{\"data\":[55]}}", "7"},
        {"{\"type\":\"Any\",\"data\":[{\"data\":[1]}]}",
         "{\"type\":\"Any\",\"data\":{\"data\":[91,123,34,100,97,116,97,34,58,"
         "91,49,93,125,93]}}",
         "[{\"data\":[1]}]"},
        {"{\"type\":\"Error\",\"data\":\"boom\"}", NULL, "\"boom\""},
        {"{\"type\":\"RemoteReference\",\"data\":{\"network_id\":\"n\","
         "\"actor_id\":\"a\",\"port\":\"p\"}}",
         NULL, "{\"network_id\":\"n\",\"actor_id\":\"a\",\"port\":\"p\"}"},
        {"{\"type\":\"NetworkEvent\",\"data\":{\"event_type\":"
         "\"HeartbeatMissed\",\"data\":7}}",
         "{\"type\":\"NetworkEvent\",\"data\":{\"event_type\":"
         "\"HeartbeatMissed\",\"data\":{\"data\":[55]}}}",
         "{\"event_type\":\"HeartbeatMissed\",\"data\":7}"},
        {"{\"type\":\"NetworkEvent\",\"data\":{\"data\":null,\"event_type\":"
         "\"ActorRegistered\"}}",
         "{\"type\":\"NetworkEvent\",\"data\":{\"data\":{\"data\":"
         "[110,117,108,108]},\"event_type\":\"ActorRegistered\"}}",
         "{\"data\":null,\"event_type\":\"ActorRegistered\"}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *typed = cases[i].typed;
        const char *serde = cases[i].serde ? cases[i].serde : typed;
        converts(typed, GBX_JSON_TYPED, typed, GBX_JSON_TYPED);
        converts(typed, GBX_JSON_TYPED, serde, GBX_JSON_SERDE);
        converts(serde, GBX_JSON_SERDE, serde, GBX_JSON_SERDE);
        converts(serde, GBX_JSON_SERDE, typed, GBX_JSON_TYPED);
        converts(typed, GBX_JSON_TYPED, cases[i].plain, GBX_JSON_PLAIN);
    }
}

static void plain_values_become_what_reflow_makes_of_them(void **state)
{
    static const struct {
        const char *plain, *typed;
    } cases[] = {
        {"null", "{\"type\":\"Optional\",\"data\":null}"},
        {" true ", "{\"type\":\"Boolean\",\"data\":true}"},
        {"-42", "{\"type\":\"Integer\",\"data\":-42}"},
        {"42.0", "{\"type\":\"Float\",\"data\":42.0}"},
        {"1e2", "{\"type\":\"Float\",\"data\":100.0}"},
        {"\"flow\"", "{\"type\":\"String\",\"data\":\"flow\"}"},
        {"[1,2,255]", "{\"type\":\"Array\",\"data\":[1,2,255]}"},
        {"{\"b\":1,\"a\":[]}",
         "{\"type\":\"Object\",\"data\":{\"b\":1,\"a\":[]}}"},
        {"{\"a\":{\"k\":1},\"k\":2}", /* a key of two maps */
         "{\"type\":\"Object\",\"data\":{\"a\":{\"k\":1},\"k\":2}}"},
        {"{\"type\":\"Integer\",\"data\":1}",
         "{\"type\":\"Object\",\"data\":{\"type\":\"Integer\",\"data\":1}}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        converts(cases[i].plain, GBX_JSON_PLAIN, cases[i].typed,
                 GBX_JSON_TYPED);
}

static void hard_values_survive(void **state)
{
    static const char *const values[] = {
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993", /* no double is it */
        "-0.0",
        "0.1",
        "1.7976931348623157e+308",
        "2.2250738585072014e-308",
        "0.30000000000000004",
        "123456789012345.0",
        "1e+15",
        "-1e+22",
        "\"quote \\\" backslash \\\\ newline \\n tab \\t \\u0001 \\u001f\"",
        "\"\\u0000 in front, \\u0000 within, and behind \\u0000\"",
        "\"\xf0\x9f\x98\x80 \xe6\xb0\xb4 \x7f \xe2\x80\xa8 </script>\"",
        "\"\"",
    };
    char json[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        converts(values[i], GBX_JSON_PLAIN, values[i], GBX_JSON_PLAIN);
        snprintf(json, sizeof(json), "{\"k\":[%s,{}]}", values[i]);
        converts(json, GBX_JSON_PLAIN, json, GBX_JSON_PLAIN);
    }
    converts("\"\\ud83d\\ude00\\/\\b\\f\\r\"", GBX_JSON_PLAIN,
             "\"\xf0\x9f\x98\x80/\\b\\f\\r\"", GBX_JSON_PLAIN);
    WRITES(GBX_OBJECT,
           "\xa1\x63"
           "a\0b\x01",
           GBX_JSON_PLAIN, "{\"a\\u0000b\":1}");
    WRITES(GBX_ANY, "\x1b\xff\xff\xff\xff\xff\xff\xff\xff", GBX_JSON_PLAIN,
           "18446744073709551615");
    WRITES(GBX_ANY, "\xc2\x49\x00\xff\xff\xff\xff\xff\xff\xff\xff",
           GBX_JSON_PLAIN, "18446744073709551615");
    WRITES(GBX_ANY, "\xc3\x48\x7f\xff\xff\xff\xff\xff\xff\xff", GBX_JSON_PLAIN,
           "-9223372036854775808");
    WRITES(GBX_ANY, "\xc3\x40", GBX_JSON_PLAIN, "-1");
}

static void what_json_cannot_hold_is_refused_by_name_and_place(void **state)
{
#define NAN64 "\xfb\x7f\xf8\0\0\0\0\0\0"
    const char *nan_at = " has no JSON form; send it as a String or a Stream";
    char want[256];
    struct gbx_message message = {.type = GBX_FLOAT, .scalar.real = -INFINITY};
    struct gbx_error err;
    char *text;

    (void)state;
    assert_int_equal(gbx_message_to_json(&text, &message, GBX_JSON_TYPED, &err),
                     GBX_EFORMAT);
    snprintf(want, sizeof(want), "Float -Infinity%s", nan_at);
    assert_string_equal(err.what, want);
    assert_null(text);

    snprintf(want, sizeof(want), "Float NaN at data.items[3]%s", nan_at);
    WRITES(GBX_OBJECT,
           "\xa2\x61"
           "a\x80\x65items\x84\x01\x80\x81\x02" NAN64,
           GBX_JSON_TYPED, want);
    WRITES(GBX_OBJECT,
           "\xa2\x61"
           "a\x80\x65items\x84\x01\x80\x81\x02" NAN64,
           GBX_JSON_SERDE, want);
    snprintf(want, sizeof(want), "Float NaN at value[1]%s", nan_at);
    WRITES(GBX_ARRAY, "\x82\x01" NAN64, GBX_JSON_PLAIN, want);
    snprintf(want, sizeof(want), "Float Infinity at data[1]%s", nan_at);
    WRITES(GBX_ARRAY, "\x82\x01\xf9\x7c\x00", GBX_JSON_SERDE, want);
    snprintf(want, sizeof(want), "Float NaN at data[1][0]%s", nan_at);
    WRITES(GBX_ARRAY,
           "\xd8\x28\x82\x82\x02\x02\xd8\x54\x48\0\0\0\0\xff\xff\0\0",
           GBX_JSON_TYPED, want);
    WRITES(GBX_ARRAY,
           "\xd8\x28\x82\x82\x02\x02\xd8\x54\x48\0\0\0\0\xff\xff\0\0",
           GBX_JSON_SERDE, want);
    snprintf(want, sizeof(want), "Float NaN at data.x.y[2]%s", nan_at);
    WRITES(GBX_OBJECT, "\xa1\x61x\xa1\x61y\xd8\x54\x46\0\0\0\0\xff\xff",
           GBX_JSON_TYPED, want);
}

static void what_is_no_sound_value_is_refused(void **state)
{
    (void)state;
    WRITES(GBX_ARRAY, "\x82\x01\x3b\x80\0\0\0\0\0\0\0", GBX_JSON_TYPED,
           "an integer beyond 64 bits at data[1] has no JSON form here; send "
           "it as a String");
    WRITES(GBX_ANY, "\xc2\x49\x01\0\0\0\0\0\0\0\0", GBX_JSON_TYPED,
           "an integer beyond 64 bits has no JSON form here; send it as a "
           "String");
    WRITES(GBX_OBJECT, "\xa1\x01\x02", GBX_JSON_TYPED,
           "a map at data has a key that is no text; JSON has no other keys");
    WRITES(GBX_ARRAY, "\x81\xa3\x61k\x01\x61j\x02\x61k\x03", GBX_JSON_TYPED,
           "the key at data[0].k comes twice in its map");
    WRITES(GBX_ARRAY, "\xd8\x28\x82\x82\x1a\x7f\xff\xff\xff\x00\xd8\x40\x40",
           GBX_JSON_TYPED,
           "an array of more than 65536 empty rows is not written as JSON");
    WRITES(GBX_STRING, "\xff", GBX_JSON_TYPED,
           "String holds bytes that are no UTF-8");
    WRITES(GBX_OBJECT, "\xa1", GBX_JSON_TYPED,
           "Object holds CBOR that is cut off at byte 1");
    WRITES(GBX_OBJECT, "\xa0\x01", GBX_JSON_TYPED,
           "Object holds more than one CBOR item");
    WRITES(GBX_NETWORK_EVENT,
           "\xa3\x64"
           "data\x01\x64"
           "data\x01\x6a"
           "event_type\x70NetworkConnected",
           GBX_JSON_TYPED, "NetworkEvent has a field twice");
    WRITES((enum gbx_type)99, "", GBX_JSON_TYPED,
           "a message of type 99: there is no such type");
}

static void a_place_is_fit_to_be_shown(void **state)
{
    struct gbx_builder b;

    (void)state;
    gbx_builder_init(&b);
    gbx_build_map(&b, 1);
    gbx_build_text(&b, "\x1b[31m\n 12345678901234567890123\xc3\xa4 and on", 40);
    for (int i = 0; i < 40; i++) {
        gbx_build_map(&b, 1);
        gbx_build_text(&b, "a long key", 10);
    }
    gbx_build_float(&b, (double)NAN);
    writes(GBX_OBJECT, b.bytes, b.count, GBX_JSON_TYPED,
           "Float NaN at data.?[31m? 12345678901234567890123\xc3\xa4"
           ".a long key.a long key.a long key.a long key.a long key... has no "
           "JSON form; "
           "send it as a String or a Stream");
    gbx_builder_fini(&b);
}

static void typed_arrays_become_nested_arrays(void **state)
{
    (void)state;
    WRITES(GBX_ARRAY,
           "\xd8\x28\x82\x82\x02\x03\xd8\x48\x46\x01\x02\x7f\x80\xff\0",
           GBX_JSON_PLAIN, "[[1,2,127],[-128,-1,0]]");
    WRITES(GBX_ARRAY, "\xd8\x28\x82\x82\x02\x01\xd8\x45\x44\xff\xff\x01\x02",
           GBX_JSON_SERDE,
           "{\"type\":\"Array\",\"data\":[{\"data\":[91,54,53,53,51,53,93]},"
           "{\"data\":[91,53,49,51,93]}]}");
    WRITES(GBX_ARRAY, "\xd8\x55\x48\0\0\x80\x3f\xcd\xcc\xcc\x3d",
           GBX_JSON_PLAIN, "[1.0,0.10000000149011612]");
    WRITES(GBX_ARRAY, "\xd8\x54\x44\x01\x00\x00\x80", GBX_JSON_PLAIN,
           "[5.9604644775390625e-08,-0.0]");
    WRITES(GBX_ARRAY, "\xd8\x4f\x48\0\0\0\0\0\0\0\x80", GBX_JSON_PLAIN,
           "[-9223372036854775808]");
    WRITES(GBX_ARRAY, "\xd8\x28\x82\x82\x02\x00\xd8\x40\x40", GBX_JSON_PLAIN,
           "[[],[]]");
    WRITES(GBX_ARRAY, "\xd8\x28\x82\x82\x00\x03\xd8\x40\x40", GBX_JSON_PLAIN,
           "[]");
    WRITES(GBX_OBJECT, "\xa2\x61x\xd8\x40\x41\x05\x61y\x42\x01\x02",
           GBX_JSON_PLAIN, "{\"x\":[5],\"y\":[1,2]}");
}

static void broken_json_says_where(void **state)
{
    (void)state;
    refused("", GBX_JSON_PLAIN, "JSON, line 1, column 0: ");
    refused("{\"a\": 1,\n \"b\": }", GBX_JSON_PLAIN, "line 2, column 7");
    refused("[1, 2", GBX_JSON_PLAIN, "line 1, column 5: ']' expected");
    refused("[1] 2", GBX_JSON_PLAIN, "line 1, column 5");
    refused("{\"a\":1,\n\"a\":2}", GBX_JSON_PLAIN,
            "line 2, column 3: duplicate object key");
    refused("[NaN]", GBX_JSON_PLAIN, "line 1, column 4");
    refused("1e400", GBX_JSON_PLAIN, "real number overflow");
    refused("9223372036854775808", GBX_JSON_PLAIN, "too big integer");
    refused("-9223372036854775809", GBX_JSON_PLAIN, "too big negative integer");
    refused("\"\xff\"", GBX_JSON_PLAIN, "unable to decode byte 0xff");
    refused("\"\\ud800\"", GBX_JSON_PLAIN, "line 1, column ");
    refused("{\"a\\u0000\":1}", GBX_JSON_PLAIN, "NUL byte in object key");
}

static void a_message_has_a_type_and_what_it_holds(void **state)
{
    static const struct {
        const char *json, *why;
    } cases[] = {
        {"42", "a message is {\"type\":...,\"data\":...}; this is an integer"},
        {"{}", "without a \"type\" that is a string"},
        {"{\"type\":1}", "without a \"type\" that is a string"},
        {"{\"type\":\"integer\",\"data\":1}", "there is no type \"integer\""},
        {"{\"type\":\"Flow\\u0000\"}", "there is no type"},
        {"{\"type\":\"Integer\",\"value\":1}", "and nothing else"},
        {"{\"type\":\"Integer\"}", "Integer has no \"data\""},
        {"{\"type\":\"Flow\",\"data\":1}", "Flow has a value"},
        {"{\"type\":\"Integer\",\"data\":1.0}",
         "Integer holds a number with a fraction, not an integer"},
        {"{\"type\":\"Float\",\"data\":9007199254740993}",
         "Float cannot hold 9007199254740993 exactly"},
        {"{\"type\":\"Float\",\"data\":9223372036854775807}",
         "Float cannot hold 9223372036854775807 exactly"},
        {"{\"type\":\"Boolean\",\"data\":0}",
         "Boolean holds an integer, not a boolean"},
        {"{\"type\":\"String\",\"data\":null}", "String holds null, not text"},
        {"{\"type\":\"Object\",\"data\":[]}",
         "Object holds an array, not a map (a JSON object)"},
        {"{\"type\":\"Array\",\"data\":{}}", "Array holds a map, not an array"},
        {"{\"type\":\"Stream\",\"data\":\"AQI=\"}",
         "Stream holds text, not bytes"},
        {"{\"type\":\"Stream\",\"data\":[1,256]}", "data[1] is 256; bytes are"},
        {"{\"type\":\"Stream\",\"data\":[-1]}", "data[0] is -1; bytes are"},
        {"{\"type\":\"Stream\",\"data\":[1.0]}", "data[0] is a fraction"},
        {"{\"type\":\"RemoteReference\",\"data\":{\"network_id\":\"n\","
         "\"actor_id\":\"a\"}}",
         "RemoteReference has no field \"port\""},
        {"{\"type\":\"RemoteReference\",\"data\":{\"network_id\":\"n\","
         "\"actor_id\":7,\"port\":\"p\"}}",
         "RemoteReference: actor_id is an integer, not text"},
        {"{\"type\":\"RemoteReference\",\"data\":{\"network_id\":\"n\","
         "\"actor_id\":\"a\",\"port\":\"p\",\"x\":1}}",
         "RemoteReference has a field that it should not have"},
        {"{\"type\":\"NetworkEvent\",\"data\":{\"event_type\":\"Gone\","
         "\"data\":1}}",
         "there is no event_type \"Gone\"; there are ActorRegistered"},
        {"{\"type\":\"NetworkEvent\",\"data\":{\"event_type\":"
         "\"HeartbeatMissed\"}}",
         "NetworkEvent has no field \"data\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        refused(cases[i].json, GBX_JSON_TYPED, cases[i].why);
}

static void what_reflow_reads_more_is_read(void **state)
{
    (void)state;
    converts("{\"type\":\"Float\",\"data\":3}", GBX_JSON_TYPED,
             "{\"type\":\"Float\",\"data\":3.0}", GBX_JSON_TYPED);
    converts("{\"type\":\"Optional\"}", GBX_JSON_TYPED,
             "{\"type\":\"Optional\",\"data\":null}", GBX_JSON_TYPED);
}

static void bytes_that_are_no_json_are_refused_in_serde(void **state)
{
    (void)state;
    refused("{\"type\":\"Object\",\"data\":{\"k\":1}}", GBX_JSON_SERDE,
            "a structured value is an object; in this form it is "
            "{\"data\":[bytes of its JSON]}");
    refused("{\"type\":\"Any\",\"data\":{\"data\":[1,2,3]}}", GBX_JSON_SERDE,
            "the JSON in data, line 1, column 1: ");
    refused("{\"type\":\"Any\",\"data\":{\"data\":[49],\"x\":1}}",
            GBX_JSON_SERDE, "a structured value is an object");
    refused("{\"type\":\"Any\",\"data\":{\"data\":[]}}", GBX_JSON_SERDE,
            "the JSON in data, line 1, column 0: ");
    refused("{\"type\":\"Object\",\"data\":{\"data\":[55]}}", GBX_JSON_SERDE,
            "Object holds an integer, not a map");
    refused("{\"type\":\"Array\",\"data\":[1]}", GBX_JSON_SERDE,
            "a structured value is an integer");
}

/* As many brackets as allowed around a value, or one more. */
static char *nest(const char *before, uint32_t levels, const char *after)
{
    char *json = calloc(1, strlen(before) + 2 * levels + strlen(after) + 1);

    strcpy(json, before);
    memset(json + strlen(json), '[', levels);
    memset(json + strlen(json), ']', levels);
    strcat(json, after);
    return json;
}

static void nesting_ends_at_the_limit_and_the_place_is_said(void **state)
{
    static const struct {
        const char *before, *after, *why;
        enum gbx_json_form form;
    } cases[] = {
        {"", "", "line 1, column 65: nested more than 64 deep", GBX_JSON_PLAIN},
        {"{\"type\":\n\"Any\", \"data\": ", "}", "line 2, column 80: nested",
         GBX_JSON_TYPED},
    };
    char *plain = nest("", 64, "");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *json = nest(cases[i].before, 64, cases[i].after);
        converts(json, cases[i].form, plain, GBX_JSON_PLAIN);
        free(json);
        json = nest(cases[i].before, 65, cases[i].after);
        refused(json, cases[i].form, cases[i].why);
        free(json);
    }
    free(plain);
    plain = nest("\"\\\\\\\"", 1000, "\""); /* these do not count */
    converts(plain, GBX_JSON_PLAIN, plain, GBX_JSON_PLAIN);
    free(plain);
}

static void either_form_is_told_by_its_shape(void **state)
{
    static const char *const cases[][2] = {
        {"{\"type\":\"Stream\",\"data\":[1]}",
         "{\"type\":\"Stream\",\"data\":[1]}"},
        {"{\"type\":\"walrus\"}",
         "{\"type\":\"Object\",\"data\":{\"type\":\"walrus\"}}"},
        {"{\"type\":\"Flow\",\"x\":1}",
         "{\"type\":\"Object\",\"data\":{\"type\":\"Flow\",\"x\":1}}"},
        {"3", "{\"type\":\"Integer\",\"data\":3}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        converts(cases[i][0], GBX_JSON_EITHER, cases[i][1], GBX_JSON_TYPED);
    refused("{\"type\":\"Integer\",\"data\":\"x\"}", GBX_JSON_EITHER,
            "Integer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types_survive_typed_and_serde),
        cmocka_unit_test(plain_values_become_what_reflow_makes_of_them),
        cmocka_unit_test(hard_values_survive),
        cmocka_unit_test(what_json_cannot_hold_is_refused_by_name_and_place),
        cmocka_unit_test(what_is_no_sound_value_is_refused),
        cmocka_unit_test(a_place_is_fit_to_be_shown),
        cmocka_unit_test(typed_arrays_become_nested_arrays),
        cmocka_unit_test(broken_json_says_where),
        cmocka_unit_test(a_message_has_a_type_and_what_it_holds),
        cmocka_unit_test(what_reflow_reads_more_is_read),
        cmocka_unit_test(bytes_that_are_no_json_are_refused_in_serde),
        cmocka_unit_test(nesting_ends_at_the_limit_and_the_place_is_said),
        cmocka_unit_test(either_form_is_told_by_its_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
