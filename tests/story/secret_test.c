/* SPDX-License-Identifier: Apache-2.0 */
/* What a script is granted to know: told when it asks, in a call, and to nobody
 * else. */
#include "story.h"

#define TELL                                                                   \
    "def process(c):\n"                                                        \
    "    s = c.secret(c.get_input('in'))\n"                                    \
    "    return {'out': [type(s).__name__, len(s), list(s[:3])]}\n"

#define SECRET(n, v, b)                                                        \
    {                                                                          \
        .name = (n), .value = (v), .bytes = (b)                                \
    }
#define SOURCE(n, s)                                                           \
    {                                                                          \
        .name = (n), .source = (s)                                             \
    }

static void grant(struct story *s, const struct gbx_secret *secrets,
                  size_t count)
{
    s->config.secrets = secrets;
    s->config.secret_count = count;
}

static void a_script_is_told_what_it_was_granted(void **state)
{
    static char long_one[GBX_SECRET_BYTES_MAX];
    char key[] = "k\xc3\xa9y";
    const struct gbx_secret secrets[] = {
        SECRET("KEY", key, 4), SECRET("a.b-c_9", "\xff\x00\x01", 3),
        SECRET("EMPTY", "", 0), SECRET("NOTHING", NULL, 0),
        SECRET("LONG", long_one, sizeof(long_one))};
    struct story *s = *state;
    struct gbx_script *script;

    memset(long_one, 'x', sizeof(long_one));
    grant(s, secrets, 5);
    script = story_open(s, TELL);
    memset(key, 'z', sizeof(key)); /* it has its own copy */
    assert_string_equal(story_ask(s, script, "\"KEY\""),
                        "{\"out\":{\"type\":\"Array\",\"data\":[\"str\",3,"
                        "[\"k\",\"\xc3\xa9\",\"y\"]]}}");
    assert_string_equal(
        story_ask(s, script, "\"a.b-c_9\""),
        "{\"out\":{\"type\":\"Array\",\"data\":[\"bytes\",3,[255,0,1]]}}");
    assert_string_equal(
        story_ask(s, script, "\"EMPTY\""),
        "{\"out\":{\"type\":\"Array\",\"data\":[\"str\",0,[]]}}");
    assert_string_equal(
        story_ask(s, script, "\"NOTHING\""),
        "{\"out\":{\"type\":\"Array\",\"data\":[\"str\",0,[]]}}");
    assert_string_equal(story_ask(s, script, "\"LONG\""),
                        "{\"out\":{\"type\":\"Array\",\"data\":[\"str\",65536,"
                        "[\"x\",\"x\",\"x\"]]}}");
    story_close(s, script);
}

static void a_value_may_be_read_where_it_is_kept(void **state)
{
    static const struct {
        const char *text, *seen;
    } cases[] = {
        {"abc", "[\"str\",3,[\"a\",\"b\",\"c\"]]"},
        {"abc\n", "[\"str\",3,[\"a\",\"b\",\"c\"]]"},
        {"a\n\n", "[\"str\",2,[\"a\",\"\\n\"]]"},
        {"\n", "[\"str\",0,[]]"},
        {"", "[\"str\",0,[]]"},
    };
    struct story *s = *state;
    char path[200], source[220], want[200];
    const struct gbx_secret secrets[] = {SOURCE("F", source),
                                         SOURCE("E", "env:GLOVEBOX_A_SECRET")};
    struct gbx_script *script;

    setenv("GLOVEBOX_A_SECRET", "of the environment", 1);
    snprintf(path, sizeof(path), "%s/secret", s->folder);
    snprintf(source, sizeof(source), "file:%s", path);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_true(fputs(cases[i].text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        grant(s, secrets, 2);
        script = story_open(s, TELL);
        unlink(path); /* it has been read */
        snprintf(want, sizeof(want),
                 "{\"out\":{\"type\":\"Array\",\"data\":%s}}", cases[i].seen);
        assert_string_equal(story_ask(s, script, "\"F\""), want);
        assert_non_null(strstr(story_ask(s, script, "\"E\""), "\"str\",18"));
        story_close(s, script);
    }
    unsetenv("GLOVEBOX_A_SECRET");
}

static void what_is_not_granted_is_refused_by_name(void **state)
{
    static const struct gbx_secret secrets[] = {SECRET("A", "1", 1),
                                                SECRET("B", "2", 1)};
    static const char script[] =
        "from glovebox import HostError\n"
        "def process(c):\n"
        "    said = []\n"
        "    for name in ('C', '', 'A' * 1000, 'a', 5, 'A\\0'):\n"
        "        try:\n"
        "            said.append(c.secret(name))\n"
        "        except HostError as e:\n"
        "            said.append(str(e)[-42:])\n"
        "    return {'out': said}\n";
    struct story *s = *state;
    const char *out;

    grant(s, secrets, 2);
    out = story_ask_once(s, script, NULL);
    assert_non_null(strstr(out, "granted to this script, which has A, B"));
    assert_null(strstr(out, "\"1\""));
    assert_non_null(strstr(out, "secret(name) takes a text"));
    grant(s, NULL, 0);
    assert_non_null(
        strstr(story_ask_once(s, script, NULL), "this script, which has none"));
}

/* A template is made of what it knows by then. */
static void none_is_told_while_a_script_is_loaded(void **state)
{
    static const struct gbx_secret secrets[] = {
        SECRET("A", "hidden-value", 12)};
    struct story *s = *state;
    struct gbx_script *script;

    grant(s, secrets, 1);
    assert_int_equal(story_try(s,
                               "import glovebox\n"
                               "known = glovebox._ask_now('secret.get', 'A')\n"
                               "def process(c): return {'out': known}\n",
                               &script),
                     GBX_ELOAD);
    assert_non_null(strstr(s->printed[1], "in a call"));
    assert_null(strstr(s->printed[1], "hidden-value"));
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char name_64[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    static const struct {
        struct gbx_secret secret;
        int code;
        const char *says;
    } cases[] = {
        {SECRET("", "1", 1), GBX_EARGUMENT, "a name has"},
        {SECRET(NULL, "1", 1), GBX_EARGUMENT, "a name has"},
        {SECRET("a b", "1", 1), GBX_EARGUMENT, "a name has"},
        {SECRET(name_64, "1", 1), GBX_EARGUMENT, "a name has"},
        {SECRET("B", "1", 1), GBX_EARGUMENT, "twice"},
        {SECRET("A", "1", GBX_SECRET_BYTES_MAX + 1), GBX_ELIMIT, "at most"},
        {SECRET("A", NULL, 1), GBX_ELIMIT, "at most"},
        {SOURCE("A", "env:GLOVEBOX_NOT_SET"), GBX_EARGUMENT, "GLOVEBOX_NOT"},
        {SOURCE("A", "env:"), GBX_EARGUMENT, "env:VARIABLE or file:PATH"},
        {SOURCE("A", "value"), GBX_EARGUMENT, "env:VARIABLE or file:PATH"},
        {SOURCE("A", "file:/no/such"), GBX_EFILE, "/no/such: No such file"},
        {SOURCE("A", "file:/"), GBX_EFILE, "Is a directory"},
        {SOURCE("A", "file:/dev/zero"), GBX_ELIMIT, "more than 65536 bytes"},
        {{.name = "A", .value = "1", .bytes = 1, .source = "env:HOME"},
         GBX_EARGUMENT,
         "a value and a source"},
    };
    struct story *s = *state;
    struct gbx_script *script;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct gbx_secret both[] = {SECRET("B", "", 0), cases[i].secret};

        grant(s, both, 2);
        assert_int_equal(story_try(s, TELL, &script), cases[i].code);
        assert_non_null(strstr(s->err.what, cases[i].says));
    }
    grant(s, &cases[0].secret, GBX_SECRETS_MAX + 1);
    assert_int_equal(story_try(s, TELL, &script), GBX_ELIMIT);
    assert_non_null(strstr(s->err.what, "at most 64 secrets"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_script_is_told_what_it_was_granted),
        story_test(a_value_may_be_read_where_it_is_kept),
        story_test(what_is_not_granted_is_refused_by_name),
        story_test(none_is_told_while_a_script_is_loaded),
        story_test(what_makes_no_sense_is_refused),
    };

    return story_main("secret", tests);
}
