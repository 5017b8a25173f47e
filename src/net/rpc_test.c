/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/rpc.h"

static struct rpc_request request;

static int read_text(const char *text)
{
    return rpc_read(&request, text, strlen(text));
}

static int fini(void **state)
{
    (void)state;
    rpc_fini(&request);
    return 0;
}

static void expect(char *text, const char *wanted)
{
    assert_string_equal(text, wanted);
    free(text);
}

static void ids_come_back_as_they_were(void **state)
{
    static const char *const ids[] = {"\"a\"", "7", "-1", "1.5", "\"\""};
    char text[100], wanted[100];

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        snprintf(text, sizeof(text),
                 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", ids[i]);
        assert_int_equal(read_text(text), 0);
        assert_string_equal(request.method, "m");
        snprintf(wanted, sizeof(wanted),
                 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":1}", ids[i]);
        expect(rpc_result(&request, json_integer(1)), wanted);
        rpc_fini(&request);
    }
}

static void a_notification_has_none(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{}}"), 0);
    assert_null(request.id);
    assert_int_equal(json_object_size(request.params), 0);
}

static void what_is_no_request_is_told(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", RPC_PARSE},
        {"{", RPC_PARSE},
        {"{\"a\":1,\"a\":2}", RPC_PARSE},
        {"\xff", RPC_PARSE},
        {"[]", RPC_INVALID},
        {"{}", RPC_INVALID},
        {"{\"jsonrpc\":2,\"id\":1,\"method\":\"m\"}", RPC_INVALID},
        {"{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"m\"}", RPC_INVALID},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", RPC_INVALID},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":{}}", RPC_INVALID},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":1}",
         RPC_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text;

        assert_int_equal(read_text(cases[i].text), cases[i].code);
        assert_true(request.what[0] != '\0');
        text = rpc_error(&request, cases[i].code, request.what, NULL);
        assert_non_null(strstr(text, "\"error\":{\"code\":-32"));
        free(text);
        rpc_fini(&request);
    }
}

static void errors_and_notifications_are_texts(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}"), 0);
    expect(rpc_error(&request, RPC_METHOD, "no \"m\"", json_true()),
           "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32601,"
           "\"message\":\"no \\\"m\\\"\",\"data\":true}}");
    expect(rpc_notification("n", json_pack("{s:i}", "a", 1)),
           "{\"jsonrpc\":\"2.0\",\"method\":\"n\",\"params\":{\"a\":1}}");
    /* What is no UTF-8 still has an answer. */
    expect(rpc_error(&request, RPC_INTERNAL, "\xff", NULL),
           "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,"
           "\"message\":\"?\"}}");
}

#define TEST(name) cmocka_unit_test_teardown(name, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_come_back_as_they_were),
        TEST(a_notification_has_none),
        TEST(what_is_no_request_is_told),
        TEST(errors_and_notifications_are_texts),
    };

    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
