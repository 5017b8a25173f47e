/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts in JavaScript: how a handler is found, and what it finds there. */
#include <sys/stat.h>
#include <time.h>

#include "story.h"

static int begin(void **state)
{
    int rc = story_begin(state);

    if (rc == 0)
        ((struct story *)*state)->name = "story.js";
    return rc;
}

#define OUT(text) "{\"out\":{\"type\":\"Integer\",\"data\":" text "}}"

static void each_spelling_of_a_handler_is_found(void **state)
{
    static const char *const texts[] = {
        /* as the original wrapper has it */
        "const metadata = {component: 'doubler', inports: ['in'], outports: "
        "['out']};\n"
        "async function processData(context) {\n"
        "  await context.sendOutput('out', context.getInput('in', 0) * 2);\n"
        "}\n",
        "function process(c) { return {out: c.input.in * 2}; }",
        "const { actor } = require('reflow');\n"
        "actor({component: 'x', inports: ['in']}, c => ({out: c.payload.in * "
        "2}));",
        "module.exports = actor({outports: ['out']},\n"
        "  async c => c.getPayload().get('in').unwrap() * 2);",
        "const f = actor({outports: ['out']})(c => c.getInput('in') * 2);",
        "module.exports = class Doubler {\n"
        "  inports = ['in']; outports = ['out'];\n"
        "  run(context) { context.send({out: context.input.in * 2}); }\n"
        "};",
        "export default class { async run(c) { c.send('out', c.input.in * 2); "
        "} }",
        "export default function (c) { return {out: c.get_input('in') * 2}; }",
        "export const metadata = {inports: ['in']};\n"
        "export async function process(c) { return {out: c.input.in * 2}; }",
        "exports.process = c => ({out: c.input.in * 2});",
        "module.exports = {run(c) { return {out: c.input.in * 2}; }};",
        "import { actor, Message } from 'glovebox';\n"
        "const two = await new Promise(r => setTimeout(r, 1, 2));\n"
        "export default actor({inports: ['in']},\n"
        "  c => ({out: Message.integer(c.input.in * two)}));",
        "const two = await Promise.resolve(2);\n"
        "function process(c) { return {out: c.input.in * two}; }",
        "module.exports = (c) => ({out: c.getInput('in') * 2}) // the end",
    };
    struct story *s = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_string_equal(story_ask_once(s, texts[i], "21"), OUT("42"));
}

static void metadata_are_told(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "/**\n * @component Sum\n * @description Adds up.\n */\n"
                      "actor({inports: ['a', {name: 'b'}], outports: ['s'],\n"
                      "  awaitAllInports: true, timeout: 5}, c => 1);\n");

    assert_string_equal(
        gbx_script_metadata(script),
        "{\"component\":\"Sum\",\"description\":\"Adds "
        "up.\",\"inports\":[\"a\","
        "\"b\"],\"outports\":[\"s\"],\"await_all_inports\":true,"
        "\"awaitAllInports\":true,\"timeout\":5}");
    story_close(s, script);
}

static void one_of_several_actors_is_chosen_by_its_id(void **state)
{
    static const char text[] =
        "actor({component: 'one'}, c => ({out: 1}));\n"
        "actor({component: 'two'}, function second(c) { return {out: 2}; });\n";
    struct story *s = *state;
    struct gbx_script *script;

    assert_int_equal(story_try(s, text, &script), GBX_ELOAD);
    assert_non_null(strstr(s->err.what, "several actors in it: one, two"));
    s->config.actor_id = "second";
    assert_string_equal(story_ask_once(s, text, NULL), OUT("2"));
}

static void print_and_outputs_keep_their_order(void **state)
{
    struct story *s = *state;

    assert_string_equal(
        story_ask_once(s,
                       "async function process(c) {\n"
                       "  console.log('a %s %d', 'b', 4, {x: [1]});\n"
                       "  console.error('wrong');\n"
                       "  setTimeout(() => console.log('later'), 1);\n"
                       "  queueMicrotask(() => console.log('soon'));\n"
                       "  console.log('now');\n"
                       "  await new Promise(r => setTimeout(r, 20));\n"
                       "  c.sendOutput('first', 1);\n"
                       "  return {out: 2}; }",
                       NULL),
        "{\"first\":{\"type\":\"Integer\",\"data\":1},"
        "\"out\":{\"type\":\"Integer\",\"data\":2}}");
    assert_string_equal(s->printed[0],
                        "a b 4 { x: [ 1 ] }\nnow\nsoon\nlater\n");
    assert_string_equal(s->printed[1], "wrong\n");
}

static void state_outlives_calls(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "async function process(c) {\n"
                      "  const n = await c.state.increment('n', 3);\n"
                      "  c.getState().push('l', {n});\n"
                      "  return {out: n, l: c.getState('l'),\n"
                      "    d: c.state.get('none', 'absent'),\n"
                      "    k: c.state.keys('?')}; }");

    story_ask(s, script, NULL);
    assert_string_equal(
        story_ask(s, script, NULL),
        "{\"out\":{\"type\":\"Integer\",\"data\":6},"
        "\"l\":{\"type\":\"Array\",\"data\":[{\"n\":3},{\"n\":6}]},"
        "\"d\":{\"type\":\"String\",\"data\":\"absent\"},"
        "\"k\":{\"type\":\"Array\",\"data\":[\"l\",\"n\"]}}");
    story_close(s, script);
}

static void the_usual_globals_are_there(void **state)
{
    struct story *s = *state;

    assert_string_equal(
        story_ask_once(
            s,
            "function process() {\n"
            "  const u = new URL('../x?a=1#h', 'https://e.org/p/q/r');\n"
            "  const e = new TextEncoder().encode('h\\u00e9\\u0000\\ud800');\n"
            "  const d = new TextDecoder();\n"
            "  const c = structuredClone({m: new Map([[1, new Date(0)]]),\n"
            "    a: new Uint8Array([1, 2])});\n"
            "  const r = crypto.getRandomValues(new Uint8Array(300));\n"
            "  return {out: [u.href, u.searchParams.get('a'), [...e].join(),\n"
            "    d.decode(e.subarray(0, 2), {stream: true})\n"
            "      + d.decode(e.subarray(2, 4)),\n"
            "    c.m.get(1).getTime(), c.a.length, new Set(r).size > 100,\n"
            "    atob(btoa('x')), typeof queueMicrotask,\n"
            "    typeof performance.now(),\n"
            "    crypto.randomUUID().length, Math.random() < 1,\n"
            "    new Date().getFullYear() > 2024, typeof require,\n"
            "    [3, 1].toSorted().join(), 'x'.at(-1)]}; }",
            NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[\"https://e.org/p/x?a=1#h\","
        "\"1\",\"104,195,169,0,239,191,189\",\"h\xc3\xa9\\u0000\",0,2,true,"
        "\"x\",\"function\",\"number\",36,true,true,\"function\",\"1,3\",\"x\"]"
        "}}");
}

/* Not when the program was built: its engine was started then. */
static void the_clock_begins_with_the_script(void **state)
{
    struct story *s = *state;
    char text[512];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof(text),
             "const begun = %lld;\n"
             "function process() {\n"
             "  const {timeOrigin} = performance;\n"
             "  const now = timeOrigin + performance.now();\n"
             "  return {out: [timeOrigin >= begun, timeOrigin <= Date.now(),\n"
             "    Math.abs(Date.now() - now) < 10000]}; }",
             (long long)now.tv_sec * 1000);
    assert_string_equal(
        story_ask_once(s, text, NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[true,true,true]}}");
}

static void write_file(struct story *s, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(struct story *s, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    assert_return_code(unlink(path), 0);
}

static void files_beside_it_are_imported(void **state)
{
    STORY_NOT_REMOTE("a script comes alone");
    struct story *s = *state;

    write_file(s, "common.js", "exports.two = 2; exports.dir = __dirname;");
    write_file(s, "modern.mjs",
               "import data from './data.json';\n"
               "import c, { two } from './common.js';\n"
               "export const sum = two + data.n + c.two;");
    write_file(s, "data.json", "{\"n\": 40}");
    assert_string_equal(
        story_ask_once(s,
                       "import { sum } from './modern.mjs';\n"
                       "export default async c => {\n"
                       "  const m = await import('./common.js');\n"
                       "  return {out: sum + m.two}; };",
                       NULL),
        OUT("46"));
    assert_string_equal(
        story_ask_once(s,
                       "const { two } = require('./common'),\n"
                       "  data = require('./data.json');\n"
                       "module.exports = () => ({out: two + data.n});",
                       NULL),
        OUT("42"));
    remove_file(s, "common.js");
    remove_file(s, "modern.mjs");
    remove_file(s, "data.json");
}

static void a_required_file_imports_what_lies_beside_it(void **state)
{
    STORY_NOT_REMOTE("a script comes alone");
    struct story *s = *state;
    char folder[128];

    snprintf(folder, sizeof(folder), "%s/lib", s->folder);
    assert_return_code(mkdir(folder, 0755), 0);
    write_file(s, "lib/inner.js", "exports.get = () => import('./b.mjs');");
    write_file(s, "lib/b.mjs", "export default 42;");
    write_file(s, "b.mjs", "export default 0;");
    assert_string_equal(
        story_ask_once(s,
                       "const { get } = require('./lib/inner');\n"
                       "module.exports = async () =>\n"
                       "  ({out: (await get()).default});",
                       NULL),
        OUT("42"));
    remove_file(s, "b.mjs");
    remove_file(s, "lib/b.mjs");
    remove_file(s, "lib/inner.js");
    assert_return_code(rmdir(folder), 0);
}

static void a_script_that_imports_itself_runs_once(void **state)
{
    STORY_NOT_REMOTE("a script comes alone");
    assert_string_equal(
        story_ask_once(
            *state,
            "import * as me from './story.js';\n"
            "export const seen = globalThis.seen ?? [];\n"
            "globalThis.seen = [...seen, me];\n"
            "export default () => ({out: 41 * globalThis.seen.length\n"
            "  + Number(me.seen === seen)});",
            NULL),
        OUT("42"));
}

/* Promises of its own making: what the script did to others is not asked. */
static void a_script_may_replace_what_promises_can(void **state)
{
    static const char *const texts[] = {
        "Promise.resolve = () => { throw new Error('resolve'); };\n"
        "async function process() { await 1; return {out: 42}; }",
        "function process() {\n"
        "  Object.defineProperty(Promise.prototype, 'constructor',\n"
        "    { get() { throw new Error('constructor'); } });\n"
        "  return new Promise(done => setTimeout(done, 1, {out: 42})); }",
        "globalThis.Promise = class { static resolve() { return 1; } };\n"
        "function process() { return { then(done) { done({out: 42}); } }; }",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_string_equal(story_ask_once(*state, texts[i], NULL), OUT("42"));
}

static int twice(void *context, const struct gbx_message *arguments,
                 struct gbx_builder *answer, struct gbx_error *err)
{
    (void)context;
    (void)err;
    gbx_build_item(answer, arguments->body, arguments->body_bytes);
    return 0;
}

static void the_host_can_be_called(void **state)
{
    struct story *s = *state;

    assert_int_equal(gbx_runtime_register(s->runtime, "echo", twice, NULL), 0);
    assert_string_equal(
        story_ask_once(s,
                       "function process(c) {\n"
                       "  let told;\n"
                       "  try { c.host('nothing'); }\n"
                       "  catch (e) { told = e.name + ': ' + e.message; }\n"
                       "  return {out: [c.host('echo', 1, 'a'), told]}; }",
                       NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[[1,\"a\"],\"HostError: this "
        "host offers no call \\\"nothing\\\"\"]}}");
}

static void a_secret_is_told_in_a_call(void **state)
{
    static const struct gbx_secret secrets[] = {
        {.name = "KEY", .value = "open", .bytes = 4},
        {.name = "RAW", .value = "\xff\x00", .bytes = 2}};
    struct story *s = *state;

    s->config.secrets = secrets;
    s->config.secret_count = 2;
    assert_string_equal(
        story_ask_once(s,
                       "function process(c) {\n"
                       "  let told;\n"
                       "  try { c.secret('OTHER'); }\n"
                       "  catch (e) { told = e.name; }\n"
                       "  return {out: [c.secret('KEY'),\n"
                       "    c.secret('RAW') instanceof Uint8Array, told]}; }",
                       NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[\"open\",true,"
        "\"HostError\"]}}");
}

/* A sandbox's copies do not draw the same numbers. */
static void copies_do_not_share_their_chance(void **state)
{
    static const char text[] =
        "let n = 0; require('glovebox').atCopy(() => { n++; });\n"
        "Math.random();\n"
        "function process() { return {out: Math.random(), n}; }";
    struct story *s = *state;
    char first[256];
    struct gbx_script *script;

    s->config.wipe = GBX_WIPE_PER_CALL;
    script = story_open(s, text);
    snprintf(first, sizeof(first), "%s", story_ask(s, script, NULL));
    for (int i = 0; i < 5; i++)
        assert_string_not_equal(first, story_ask(s, script, NULL));
    story_close(s, script);
}

/* Its own interpreter needs nothing of that. */
static void a_script_runs_in_a_root_of_its_own(void **state)
{
    struct story *s = *state;
    char root[] = "/tmp/glovebox-test-XXXXXX";
    struct gbx_script *script;

    if (getenv("GLOVEBOX_TEST_CLONES") != NULL ||
        !(story_is("process") || story_is("microvm")))
        skip();
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    s->config.root = root;
    s->config.wipe = GBX_WIPE_PER_CALL;
    script = story_open(s, "export function process(c) {"
                           " return {v: c.getInput('in') + 1} }\n");
    for (int i = 0; i < 3; i++)
        assert_string_equal(story_ask(s, script, "41"), V_NUMBER(42));
    story_close(s, script);
    script = story_open(s, "export function process() { return {v: 1} }\n");
    assert_string_equal(story_ask(s, script, NULL), V_NUMBER(1));
    story_close(s, script);
    assert_int_equal(rmdir(root), 0); /* still empty */
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, story_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_spelling_of_a_handler_is_found),
        test(metadata_are_told),
        test(one_of_several_actors_is_chosen_by_its_id),
        test(print_and_outputs_keep_their_order),
        test(state_outlives_calls),
        test(the_usual_globals_are_there),
        test(the_clock_begins_with_the_script),
        test(files_beside_it_are_imported),
        test(a_required_file_imports_what_lies_beside_it),
        test(a_script_that_imports_itself_runs_once),
        test(a_script_may_replace_what_promises_can),
        test(the_host_can_be_called),
        test(a_secret_is_told_in_a_call),
        test(copies_do_not_share_their_chance),
        test(a_script_runs_in_a_root_of_its_own),
    };

    return story_main("js", tests);
}
