/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/project.h"
#include "glovebox/runtime.h"

static const char usage[] =
    "usage: glovebox COMMAND [OPTION]...\n"
    "\n"
    "Run scripts and programs you do not trust, sealed.\n"
    "\n"
    "  glovebox run FILE     run a script once: messages in, messages out\n"
    "  glovebox inspect FILE say what a script says of itself: its ports, ...\n"
    "  glovebox exec PROGRAM run a Linux program in a micro-VM\n"
    "  glovebox flow CMD     graphs of actors: check, draw and run one\n"
    "  glovebox serve FILE   run scripts for others, over HTTP and WebSocket\n"
    "  glovebox up           start a project (glovebox.toml); down ends it\n"
    "  glovebox ps           what of it runs, and how; logs, status\n"
    "  glovebox nodes URL    which workers take calls from a NATS server\n"
    "  glovebox build MODULE compile a module of WebAssembly ahead\n"
    "  glovebox image CMD    images to run in: pull, list, remove them\n"
    "  glovebox cache        what scripts start from: list it, remove it\n"
    "  glovebox config       rules for scripts: check them, show them\n"
    "  glovebox doctor       what this computer can do, and what is missing\n"
    "  glovebox bench        how fast it is here, against a WebSocket server\n"
    "  glovebox help [CMD]   this text, or a command's\n"
    "\n"
    "For example:\n"
    "  echo 'def process(c): return {\"sum\": c.get_input(\"a\") + 1}' > x.py\n"
    "  glovebox run x.py --in a=41\n"
    "  glovebox exec python3 -c 'print(6 * 7)'\n"
    "\n"
    "glovebox(1) is the manual.\n";

const char *cli_libexec(void)
{
    static char path[4096];
    char probe[4160];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
    char *slash;

    if (n <= 0)
        return NULL;
    path[n] = '\0';
    slash = strrchr(path, '/');
    strcpy(slash, "/libexec");
    snprintf(probe, sizeof(probe), "%s/glovebox-init", path);
    return access(probe, X_OK) == 0 ? path : NULL;
}

int cli_exit_code(int code)
{
    switch (code) {
    case 0:
        return CLI_OK;
    case GBX_ESCRIPT:
        return CLI_SCRIPT;
    case GBX_EARGUMENT:
    case GBX_EPORT:
    case GBX_EFORMAT:
        return CLI_USAGE;
    case GBX_ELIMIT:
    case GBX_EMEMORY:
    case GBX_ECPU:
    case GBX_EPROCESSES:
    case GBX_EFILES:
    case GBX_EOUTPUT:
    case GBX_EDISK:
    case GBX_EARENA:
    case GBX_ERING:
        return CLI_LIMIT;
    case GBX_EEXIT:
    case GBX_ESIGNAL:
    case GBX_ETRAP:
    case GBX_EBROKEN:
    case GBX_EBOUNDS:
        return CLI_ENDED;
    case GBX_ETIME:
    case GBX_ECANCELED:
        return CLI_TIME;
    case GBX_ELOAD:
        return CLI_LOAD;
    case GBX_EFILE:
        return CLI_NO_FILE;
    default:
        return CLI_HOST;
    }
}

int cli_say(const char *text, int code)
{
    fputs("glovebox: ", stderr);
    cli_print(stderr, text, strlen(text), true);
    putc('\n', stderr);
    return code;
}

int cli_fail(const struct gbx_error *err)
{
    const char *what =
        err->what[0] != '\0' ? err->what : gbx_strerror(err->code);

    return cli_say(what, cli_exit_code(err->code));
}

/* Programs of their own, that need what users need not have. */
static int exec_beside(const char *name, char **argv)
{
    const char *dir = cli_libexec();
    char path[4160];

    snprintf(path, sizeof(path), "%s/glovebox-%s",
             dir != NULL ? dir : GLOVEBOX_LIBEXEC_DIR, name);
    execv(path, argv);
    fprintf(stderr, "glovebox: %s: not there: make %s builds it\n", path,
            strcmp(name, "bench") == 0 ? name : "build");
    return CLI_HOST;
}

static bool is_beside(const char *name)
{
    return strcmp(name, "bench") == 0 || strcmp(name, "nodes") == 0;
}

/* So is the server, which lies beside this one. */
int cli_exec_daemon(char **argv)
{
    static const char name[] = "gloveboxd";
    char path[4096 + sizeof(name)];
    ssize_t n = readlink("/proc/self/exe", path, 4096);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

    if (slash != NULL) {
        memcpy(slash + 1, name, sizeof(name));
        execv(path, argv);
    }
    execvp(name, argv);
    return cli_say("gloveboxd is not there: it comes with Glovebox", CLI_HOST);
}

typedef int command_fn(int argc, char **argv);

static const struct {
    const char *name;
    command_fn *run;
} commands[] = {
    {"run", cli_run},     {"image", cli_image},   {"inspect", cli_inspect},
    {"exec", cli_exec},   {"build", cli_build},   {"doctor", cli_doctor},
    {"cache", cli_cache}, {"config", cli_config}, {"flow", cli_flow},
    {"up", cli_up},       {"down", cli_down},     {"ps", cli_ps},
    {"logs", cli_logs},   {"status", cli_status},
};

static command_fn *find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run;
    return NULL;
}

static int help(int argc, char **argv)
{
    char option[] = "--help";
    char *of[] = {argc > 2 ? argv[2] : argv[0], option, NULL};
    command_fn *run;

    if (argc > 2 && (run = find(argv[2])) != NULL)
        return run(2, of);
    if (argc > 2 && is_beside(argv[2]))
        return exec_beside(argv[2], of);
    if (argc > 2 && strcmp(argv[2], "serve") == 0)
        return cli_exec_daemon(of);
    fputs(usage, argc > 2 ? stderr : stdout);
    return argc > 2 ? CLI_USAGE : CLI_OK;
}

/*
 * Whoever closed a standard stream would otherwise find our own files under its
 * number, and their texts in those.  Opened the wrong way round, so that using
 * it is still an error.
 */
static void keep_standard_streams(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            _exit(CLI_HOST);
}

/* However the program ends: what it printed is there, or it did not do what it
 * was asked for. */
static void check_output(void)
{
    bool lost = ferror(stdout);
    char text[128];

    errno = 0;
    if (fflush(stdout) == 0 && !lost)
        return;
    snprintf(text, sizeof(text), "standard output: %.100s",
             errno != 0 ? strerrordesc_np(errno) : "some of it is lost");
    _exit(cli_say(text, CLI_HOST));
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    command_fn *run;

    keep_standard_streams();
    atexit(check_output);

    if ((run = find(command)) != NULL)
        return run(argc - 1, argv + 1);
    if (is_beside(command))
        return exec_beside(command, argv + 1);
    if (strcmp(command, "serve") == 0)
        return cli_exec_daemon(argv + 1);
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0)
        return help(argc, argv);
    if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0) {
        printf("glovebox %s\n", gbx_version());
        return CLI_OK;
    }
    if (command[0] != '\0')
        fprintf(stderr, "glovebox: no command \"%s\"\n\n", command);
    fputs(usage, stderr);
    return CLI_USAGE;
}
