/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_test.c - situations, and what is decided in them.
 *
 * The host, the measurements and the policy are made up; an expectation is a
 * line: what is chosen, and a letter for each isolation's verdict, the
 * strongest first (micro-VM, process, WebAssembly, remote):
 *
 *   C chosen   A allowed   R refused   I impossible   U unsuited
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "runtime/route/decide.h"

#define VM   GBX_ISOLATION_MICROVM
#define PROC GBX_ISOLATION_PROCESS
#define WASM GBX_ISOLATION_WASM
#define FAR  GBX_ISOLATION_REMOTE
#define NONE GBX_ISOLATION_AUTO

enum { PYTHON, JS, MODULE, NATIVE };
#define TRUSTED   .policy.trust = GBX_TRUST_TRUSTED
#define LIST(...) .policy.allowed = {__VA_ARGS__}
#define FLOOR(f)  .policy.floor = f

/* Bits of isolations. */
#define BIT(isolation) (1u << (isolation))

struct situation {
    const char *name;
    const char *want; /* "CARI" */
    const char *why;  /* a part of the reason of the chosen one */
    int language;
    struct gbx_route_policy policy;
    enum gbx_isolation asked, before;
    unsigned missing, warm;
    bool trace, root, mounts, user;
    uint64_t bytes;
    struct {
        uint64_t calls, us;
    } seen[GBX_ISOLATIONS + 1];
};

#define SEEN(isolation, n, t) .seen[isolation] = {n, t}

static const struct situation situations[] = {
    /* What auto has always done. */
    {"python", "CAUR", "the strongest that this host offers",
     .language = PYTHON},
    {"js", "CARR", "the strongest", .language = JS},
    {"module", "UUCU", "what WebAssembly runs in", .language = MODULE},
    {"native", "CAUU", "the strongest", .language = NATIVE},
    {"python without KVM", "ICUR", "no micro-VM: no microvm here", PYTHON,
     .missing = BIT(VM)},
    {"js without KVM", "ICRR", "no micro-VM: ", JS, .missing = BIT(VM)},
    {"nothing there", "IIUR", NULL, PYTHON, .missing = BIT(VM) | BIT(PROC)},
    {"js does not fall to wasm by itself", "IIRR", NULL, JS,
     .missing = BIT(VM) | BIT(PROC)},
    {"a trace", "CUUU", "the strongest", PYTHON, .trace = true},
    {"a trace without KVM", "IUUU", NULL, PYTHON, .trace = true,
     .missing = BIT(VM)},
    {"an image", "CAUU", "the strongest", PYTHON, .root = true},
    {"an image without KVM", "ICUU", "no micro-VM", JS, .root = true,
     .missing = BIT(VM)},
    {"an image, and neither", "IIUU", NULL, JS, .root = true,
     .missing = BIT(VM) | BIT(PROC)},
    {"mounts", "CAUU", "the strongest", PYTHON, .mounts = true},
    {"mounts without KVM", "ICUU", "no micro-VM", JS, .mounts = true,
     .missing = BIT(VM)},
    {"a user", "CAUU", "the strongest", PYTHON, .user = true},
    {"a missing process does not matter", "CIUR", "the strongest", PYTHON,
     .missing = BIT(PROC)},

    /* What was asked for. */
    {"asked for process", "RCUR", "it was asked for", PYTHON, .asked = PROC},
    {"asked for wasm, of js", "RRCR", "it was asked for", JS, .asked = WASM},
    {"asked for wasm, of python", "RRUR", NULL, PYTHON, .asked = WASM},
    {"asked for process, of a module", "UURU", NULL, MODULE, .asked = PROC},
    {"asked for what is not there", "IRRR", NULL, JS, .asked = VM,
     .missing = BIT(VM)},
    {"asked for another host", "RRRC", "it was asked for", JS, .asked = FAR},
    {"asked for another host, with a floor for it", "RRRC", "asked for", JS,
     .asked = FAR, FLOOR(VM)},
    {"asked for another host, and there is none", "RRRI", NULL, JS,
     .asked = FAR, .missing = BIT(FAR)},
    {"asked for another host, which the list refuses", "RRRR", NULL, JS,
     .asked = FAR, LIST(VM)},
    {"asked for what the floor refuses", "RRRR", NULL, JS, .asked = WASM,
     FLOOR(PROC)},
    {"asked for what the list refuses", "RRRR", NULL, JS, .asked = PROC,
     LIST(VM)},
    {"asked for what the list allows second", "RCRR", "asked for", JS,
     .asked = PROC, LIST(VM, PROC)},
    {"trusted does not change what was asked", "CRRR", "asked for", JS, TRUSTED,
     .asked = VM},

    /* Floors. */
    {"floor microvm", "CRUR", "the strongest", PYTHON, FLOOR(VM)},
    {"floor microvm without KVM", "IRUR", NULL, PYTHON, FLOOR(VM),
     .missing = BIT(VM)},
    {"floor process", "CARR", "the strongest", JS, FLOOR(PROC)},
    {"floor process without KVM", "ICRR", "no micro-VM", JS, FLOOR(PROC),
     .missing = BIT(VM)},
    {"floor wasm lets js down to it", "IICR", "no micro-VM", JS, FLOOR(WASM),
     .missing = BIT(VM) | BIT(PROC)},
    {"floor wasm is the last resort", "CAAR", "the strongest", JS, FLOOR(WASM)},
    {"a floor holds for modules", "UURU", NULL, MODULE, FLOOR(PROC)},
    {"a floor holds for trusted ones", "CRRR", "trusted", JS, TRUSTED,
     FLOOR(VM)},
    {"a floor cuts a list", "RCRR", "first in the policy", JS, FLOOR(PROC),
     LIST(WASM, PROC)},

    /* Lists. */
    {"process first", "ACRR", "comes first in the policy", JS, LIST(PROC, VM)},
    {"process first, missing", "CIRR", "no process isolation", JS,
     LIST(PROC, VM), .missing = BIT(PROC)},
    {"wasm first, of js", "ARCR", "first in the policy", JS, LIST(WASM, VM)},
    {"wasm first, of python", "CRUR", "first in the policy", PYTHON,
     LIST(WASM, VM)},
    {"wasm alone, of python", "RRUR", NULL, PYTHON, LIST(WASM)},
    {"one, missing", "IRRR", NULL, JS, LIST(VM), .missing = BIT(VM)},
    {"remote first", "ARRC", "first in the policy", JS, LIST(FAR, VM)},
    {"remote first, and there is none", "CRRI", "no remote host: no remote", JS,
     LIST(FAR, VM), .missing = BIT(FAR)},
    {"remote alone", "RRRC", "first in the policy", JS, LIST(FAR)},
    {"remote last", "CRRA", "first in the policy", JS, LIST(VM, FAR)},
    {"remote last, for want of the others", "IRRC", "no micro-VM", JS,
     LIST(VM, FAR), .missing = BIT(VM)},
    {"what is there is not sent away by itself", "IIIR", NULL, JS, TRUSTED,
     .missing = BIT(WASM) | BIT(VM) | BIT(PROC), SEEN(FAR, 100, 1)},
    {"a module where only micro-VMs are allowed", "UURU", NULL, MODULE,
     LIST(VM)},

    /* Trusted: by what is usual. */
    {"trusted js", "AACR", "the quickest: about 8 us", JS, TRUSTED},
    {"trusted python", "ACUR", "the quickest", PYTHON, TRUSTED},
    {"trusted python, a copied micro-VM is as quick", "CAUR", "about as quick",
     PYTHON, TRUSTED, .warm = BIT(VM)},
    {"trusted python, both are copied", "ACUR", "the quickest", PYTHON, TRUSTED,
     .warm = BIT(VM) | BIT(PROC)},
    {"trusted python, large messages: the strongest of equals", "CAUR",
     "about as quick", PYTHON, TRUSTED, .bytes = 16000000},
    {"trusted js, large messages", "CAAR", "about as quick", JS, TRUSTED,
     .bytes = 16000000},
    {"trusted, wasm missing", "ACIR", "the quickest", JS, TRUSTED,
     .missing = BIT(WASM)},
    {"trusted, all missing", "IIIR", NULL, JS, TRUSTED,
     .missing = BIT(WASM) | BIT(VM) | BIT(PROC)},
    {"trusted, a list without the quickest", "ACRR", "the quickest", JS,
     TRUSTED, LIST(VM, PROC)},
    {"trusted, one in the list", "CRRR", "the only one", JS, TRUSTED, LIST(VM)},
    {"trusted, equals: the first in the list", "ACAR", "about as quick", JS,
     TRUSTED, LIST(PROC, WASM, VM), .bytes = 16000000},
    {"a trusted module", "UUCU", "what WebAssembly runs in", MODULE, TRUSTED},

    /* Trusted: by what was seen. */
    {"seen: wasm is slow here", "ACAR", "the quickest: 20 us", JS, TRUSTED,
     .before = WASM, SEEN(WASM, 100, 90), SEEN(PROC, 100, 20)},
    {"seen too seldom", "AACR", "about 8 us", JS, TRUSTED,
     SEEN(WASM, ROUTE_CALLS_MIN - 1, 90), SEEN(PROC, 3, 2)},
    {"seen just often enough", "ACAR", "by 32 calls", JS, TRUSTED,
     SEEN(WASM, ROUTE_CALLS_MIN, 90), SEEN(PROC, ROUTE_CALLS_MIN, 2)},
    {"seen in one only: the others would not be quicker", "AACR",
     "the quickest: 7 us", JS, TRUSTED, .before = WASM, SEEN(WASM, 100, 7)},
    {"seen in one only: work counts everywhere", "AACR", "the quickest", JS,
     TRUSTED, .before = WASM, SEEN(WASM, 100, 5000)},
    {"seen in two: the one with more calls tells of the third", "ACAR",
     "the quickest: 20 us", JS, TRUSTED, SEEN(VM, 1000, 1030),
     SEEN(PROC, 40, 20)},
    {"seen in the micro-VM: wasm would be quicker", "AACR", "the quickest", JS,
     TRUSTED, .before = VM, SEEN(VM, 100, 50)},
    {"not quicker by a fifth: it stays", "AACR", "what it had before", JS,
     TRUSTED, .before = WASM, SEEN(WASM, 100, 110), SEEN(PROC, 100, 100),
     SEEN(VM, 100, 150)},
    {"the same, seen from the other side", "ACAR", "the quickest", JS, TRUSTED,
     .before = PROC, SEEN(WASM, 100, 110), SEEN(PROC, 100, 100),
     SEEN(VM, 100, 150)},
    {"more than a fifth: it changes", "ACAR", "the quickest", JS, TRUSTED,
     .before = WASM, SEEN(WASM, 100, 130), SEEN(PROC, 100, 100),
     SEEN(VM, 100, 150)},
    {"what it had before is gone", "ACIR", "the quickest", JS, TRUSTED,
     .before = WASM, .missing = BIT(WASM), SEEN(WASM, 100, 5),
     SEEN(PROC, 100, 100), SEEN(VM, 100, 150)},
    {"what it had before is refused now", "CRRR", "the only one", JS, TRUSTED,
     FLOOR(VM), .before = WASM, SEEN(WASM, 100, 5)},
    {"untrusted: speed does not count", "CARR", "the strongest", JS,
     .before = WASM, SEEN(WASM, 1000, 1), SEEN(VM, 1000, 5000)},
    {"said to be untrusted", "CARR", "the strongest", JS,
     .policy.trust = GBX_TRUST_UNTRUSTED, SEEN(WASM, 1000, 1)},
};

static struct route_question ask(const struct situation *s)
{
    static const char *const names[] = {"Python", "JavaScript", "WebAssembly",
                                        "a native program"};
    static const char *const lacks[] = {"", "no process here",
                                        "no microvm here", "no wasm here",
                                        "no remote here"};
    struct route_question q = {.language = names[s->language],
                               .is_program = s->language == NATIVE,
                               .is_module = s->language == MODULE,
                               .has_module = s->language == JS,
                               .has_trace = s->trace,
                               .has_root = s->root,
                               .has_mounts = s->mounts,
                               .has_user = s->user,
                               .asked = s->asked,
                               .policy = s->policy,
                               .before = s->before,
                               .body_bytes = s->bytes};

    for (unsigned i = 1; i <= GBX_ISOLATIONS; i++)
        q.facts[i] = (struct route_facts){
            .known = s->missing & BIT(i) ? ROUTE_MISSING : ROUTE_THERE,
            .lack = s->missing & BIT(i) ? lacks[i] : NULL,
            .is_warm = (s->warm & BIT(i)) != 0,
            .calls = s->seen[i].calls,
            .call_ns = s->seen[i].us * 1000};
    return q;
}

static void each_situation_has_one_answer(void **state)
{
    unsigned wrong = 0;

    (void)state;
    assert_true(ARRAY_SIZE(situations) >= 60);
    for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
        const struct situation *s = &situations[i];
        const struct route_question q = ask(s);
        enum gbx_isolation chosen = NONE;
        char verdicts[GBX_ISOLATIONS + 1] = "";
        struct gbx_route route;

        route_decide(&route, &q);
        for (unsigned row = 0; row < GBX_ISOLATIONS; row++) {
            verdicts[row] = "CARIU"[route.rows[row].verdict];
            assert_int_equal(route.rows[row].isolation, route_order[row]);
            assert_true(route.rows[row].reason[0] != '\0');
            if (verdicts[row] == 'C')
                chosen = route.rows[row].isolation;
        }
        assert_int_equal(route.isolation, chosen);
        if (strcmp(verdicts, s->want) == 0 &&
            (s->why == NULL ? chosen == NONE
                            : strstr(route.why, s->why) != NULL))
            continue;
        print_error("%s: %s (%s), not %s (%s)\n", s->name, verdicts, route.why,
                    s->want, s->why != NULL ? s->why : "none");
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void what_is_refused_is_never_chosen(void **state)
{
    static const enum gbx_isolation all[] = {NONE, PROC, VM, WASM, FAR};
    unsigned chosen = 0;

    (void)state;
    for (unsigned n = 0; n < 4u * 3 * 5 * 5 * 5 * 16 * 5; n++) {
        unsigned at = n;
        struct situation s = {.seen = {{0}}};
        struct route_question q;
        struct gbx_route route;

        s.language = (int)(at % 4), at /= 4;
        s.policy.trust = (enum gbx_trust)(at % 3), at /= 3;
        s.policy.floor = all[at % 5 == 4 ? 0 : at % 5], at /= 5;
        s.policy.allowed[0] = all[at % 5], at /= 5;
        s.policy.allowed[1] = s.policy.allowed[0] ? all[at % 5] : NONE, at /= 5;
        s.missing = at % 16 * 2, at /= 16;
        s.asked = all[at % 5];
        q = ask(&s);
        route_decide(&route, &q);
        if (route.isolation == NONE)
            continue;
        chosen++;
        assert_false(s.missing & BIT(route.isolation));
        if (route.isolation == FAR) /* only by its name */
            assert_true(s.asked == FAR || s.policy.allowed[0] == FAR ||
                        s.policy.allowed[1] == FAR);
        if (s.asked != NONE)
            assert_int_equal(route.isolation, s.asked);
        if (s.policy.floor == VM) /* a remote one is held to it there */
            assert_true(route.isolation == VM || route.isolation == FAR);
        if (s.policy.floor == PROC)
            assert_true(route.isolation != WASM);
        if (s.policy.allowed[0] != NONE)
            assert_true(route.isolation == s.policy.allowed[0] ||
                        route.isolation == s.policy.allowed[1]);
        else if (s.asked == NONE && s.policy.floor == NONE &&
                 s.policy.trust != GBX_TRUST_TRUSTED && s.language != MODULE)
            assert_true(route.isolation != WASM);
    }
    assert_true(chosen > 1000);
}

static void a_refusal_says_what_was_allowed_and_why_not(void **state)
{
    static const struct {
        struct situation s;
        const char *said[4];
    } cases[] = {
        {{"", .language = PYTHON, .missing = BIT(VM) | BIT(PROC)},
         {"x.py is untrusted and may run in microvm, process",
          "microvm: no microvm here", "process: no process here",
          "; see glovebox doctor"}},
        {{"", .language = PYTHON, FLOOR(VM), .missing = BIT(VM)},
         {"may run in microvm, which", "microvm: no microvm here"}},
        {{"", .language = PYTHON, LIST(WASM), TRUSTED},
         {"is trusted and may run in wasm,", "Python does not run"}},
        {{"", .language = JS, .asked = WASM, FLOOR(PROC),
          .policy.from = "f.json, line 3"},
         {"run in wasm",
          "the policy (f.json, line 3) allows microvm, process"}},
        {{"", .language = MODULE, LIST(VM)},
         {"run in microvm", "modules of WebAssembly run in wasm only"}},
        {{"", .language = JS, LIST(FAR), .missing = BIT(FAR)},
         {"run in remote", "no remote here"}},
        {{"", .language = PYTHON, .trace = true, .missing = BIT(VM)},
         {"microvm: no microvm here", "trace"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct route_question q = ask(&cases[i].s);
        struct gbx_error err = {0};
        struct gbx_route route;

        route_decide(&route, &q);
        assert_int_equal(route_refuse(&route, &q, "x.py", &err),
                         GBX_EUNSUPPORTED);
        for (size_t j = 0; j < 4 && cases[i].said[j] != NULL; j++)
            if (strstr(err.what, cases[i].said[j]) == NULL)
                fail_msg("\"%s\" has no \"%s\"", err.what, cases[i].said[j]);
    }
}

static void a_policy_that_is_none_is_told(void **state)
{
    struct gbx_route_policy good = {0}, bad;
    struct gbx_error err;

    (void)state;
    assert_int_equal(route_check(&good, &err), 0);
    bad = good;
    bad.trust = (enum gbx_trust)3;
    assert_int_equal(route_check(&bad, &err), GBX_EARGUMENT);
    bad = good;
    bad.floor = FAR; /* who can tell how strong it is? */
    assert_int_equal(route_check(&bad, &err), GBX_EARGUMENT);
    bad = good;
    bad.allowed[3] = (enum gbx_isolation)5;
    assert_int_equal(route_check(&bad, &err), GBX_EARGUMENT);
}

static void programs_ask_the_policy_alone(void **state)
{
    const struct gbx_route_policy none = {0}, floor = {.floor = PROC};

    (void)state;
    assert_int_equal(gbx_route_allows(&none, VM, 0), 1);
    assert_int_equal(gbx_route_allows(&none, WASM, 0), 0);
    assert_int_equal(gbx_route_allows(&none, WASM, 1), 1);
    assert_int_equal(gbx_route_allows(&none, NONE, 1), 0);
    assert_int_equal(gbx_route_allows(&floor, WASM, 1), 0);
    assert_int_equal(gbx_route_allows(&floor, PROC, 1), 1);
}

static void everything_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(gbx_isolation_name(VM), "microvm");
    assert_string_equal(gbx_isolation_name(FAR), "remote");
    assert_string_equal(gbx_isolation_name(5), "?");
    assert_string_equal(gbx_isolation_name(-1), "?");
    assert_string_equal(gbx_verdict_name(GBX_VERDICT_UNSUITED), "unsuited");
    assert_string_equal(gbx_verdict_name(5), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_situation_has_one_answer),
        cmocka_unit_test(what_is_refused_is_never_chosen),
        cmocka_unit_test(a_refusal_says_what_was_allowed_and_why_not),
        cmocka_unit_test(a_policy_that_is_none_is_told),
        cmocka_unit_test(programs_ask_the_policy_alone),
        cmocka_unit_test(everything_has_a_name),
    };

    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
