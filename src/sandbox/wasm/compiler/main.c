/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox-wasmc FOLDER - FOLDER/module.wasm becomes FOLDER/module.gbx.
 *
 *   module.wasm --strip--> plain.wasm --wasm2c--> plain.c --rewrite--> source.c
 *                                                          --gcc--> module.gbx
 *
 * The library runs it, in a folder that is nobody else's.  It limits itself:
 * memory, time and the length of files; what it starts inherits that.  It is no
 * boundary against a module that finds a mistake in wasm2c or gcc: what comes
 * out is native code, which the caller will run (docs/threats.md).
 *
 * Exits with 0; 1: this module cannot be compiled, and standard error says why
 * in one line; 69: there is no compiler here; 70: it failed in another way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedded.h" /* runtime_text: artefact.h and runtime.h */
#include "flags.h"
#include "glue.h"
#include "parse.h"
#include "rewrite.h"

#define EXIT_MODULE   1
#define EXIT_COMPILER 69
#define EXIT_FAILED   70

#define MEMORY_MAX (6ull << 30)
#define CPU_S_MAX  900u
#define FILE_MAX   (1ull << 30)

static const char *const search = "/usr/local/bin:/usr/bin:/bin";

static __attribute__((noreturn, format(printf, 2, 3))) void
leave(int status, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(status);
}

static void limit(int what, uint64_t most)
{
    struct rlimit r = {most, most}, now;

    if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max < most)
        return;
    setrlimit((__rlimit_resource_t)what, &r);
}

static FILE *open_file(const char *name, const char *how)
{
    FILE *file = fopen(name, how);

    if (file == NULL)
        leave(EXIT_FAILED, "%s: %s", name, strerror(errno));
    return file;
}

static void close_file(FILE *file, const char *name)
{
    if (fclose(file) != 0)
        leave(EXIT_FAILED, "%s: %s", name, strerror(errno));
}

static uint8_t *read_all(const char *name, size_t *count)
{
    FILE *file = open_file(name, "r");
    struct stat st;
    uint8_t *bytes;

    if (fstat(fileno(file), &st) < 0 || st.st_size > (off_t)FILE_MAX)
        leave(EXIT_MODULE, "it is larger than 1 GiB");
    *count = (size_t)st.st_size;
    bytes = malloc(*count + 1);
    if (bytes == NULL || fread(bytes, 1, *count, file) != *count)
        leave(EXIT_FAILED, "%s: cannot be read", name);
    fclose(file);
    return bytes;
}

/* The first line of what a tool said that tells what is wrong. */
static void print_complaint(const char *name)
{
    FILE *file = open_file(name, "r");
    char line[300];

    while (fgets(line, sizeof(line), file) != NULL) {
        const char *error = strstr(line, "error: ");

        if (error == NULL)
            continue;
        fprintf(stderr, "%.*s", (int)strcspn(error + 7, "\n"), error + 7);
        break;
    }
    fclose(file);
    fputc('\n', stderr);
}

/* In the child: no input, and what it says goes to a file. */
static void become(const char *const *argv, const char *said)
{
    /* exec wants texts that may be changed, and does not. */
    const union {
        const char *const *ours;
        char *const *theirs;
    } names = {.ours = argv};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(out, 2) < 0)
        _exit(126);
    setenv("PATH", search, 1);
    setenv("TMPDIR", ".", 1);
    setenv("LC_ALL", "C", 1);
    execvp(argv[0], names.theirs);
    _exit(127);
}

static void run(const char *const *argv, const char *package)
{
    const char *said = "said";
    pid_t child = fork();
    int status;

    if (child == 0)
        become(argv, said);
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            child = -1;
    if (child < 0)
        leave(EXIT_FAILED, "%s cannot be started: %s", argv[0],
              strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        leave(EXIT_COMPILER, "there is no %s here (package %s)", argv[0],
              package);
    if (WIFSIGNALED(status))
        leave(EXIT_MODULE, "%s was ended by signal %d: the module is too large",
              argv[0], WTERMSIG(status));
    print_complaint(said);
    exit(EXIT_MODULE);
}

static void strip_module(const struct parsed *parsed)
{
    FILE *out = open_file("plain.wasm", "w");

    if (parsed_write(parsed, out) < 0)
        leave(EXIT_FAILED, "plain.wasm: cannot be written");
    close_file(out, "plain.wasm");
}

static void write_runtime(void)
{
    FILE *out = open_file("wasm-rt.h", "w");

    fwrite(runtime_text, 1, runtime_text_bytes, out);
    close_file(out, "wasm-rt.h");
}

static bool has_region(const struct parsed *p)
{
    for (uint32_t i = 0; i < p->import_count; i++)
        if (p->imports[i].module.bytes == 8 &&
            memcmp(p->imports[i].module.text, "glovebox", 8) == 0)
            return true;
    return false;
}

static void write_source(const struct parsed *parsed)
{
    FILE *header = open_file("plain.h", "r"), *in = open_file("plain.c", "r");
    FILE *out = open_file("source.c", "w");
    struct rewritten text;
    char error[200];

    if (has_region(parsed))
        fputs("#define WASM_REGION 1\n", out);
    if (rewrite(&text, header, in, out) < 0)
        leave(EXIT_COMPILER, "%s", text.error);
    if (glue_write(out, parsed, &text, "module.wasm", error) < 0)
        leave(EXIT_MODULE, "%s", error);
    fclose(header);
    fclose(in);
    close_file(out, "source.c");
    rewritten_fini(&text);
}

int main(int argc, char **argv)
{
    static const char *const wasm2c[] = {"wasm2c", "plain.wasm", "-n", "m",
                                         "-o",     "plain.c",    NULL};
    static const char *const gcc[] = {"gcc", WASM_CC_FLAGS, "-I.", "source.c",
                                      "-o",  "module.gbx",  "-lm", NULL};
    struct parsed parsed;
    uint8_t *bytes;
    size_t count;

    if (argc != 2)
        leave(EXIT_FAILED, "usage: glovebox-wasmc FOLDER; use glovebox build");
    if (chdir(argv[1]) < 0)
        leave(EXIT_FAILED, "%s: %s", argv[1], strerror(errno));
    umask(077);
    limit(RLIMIT_AS, MEMORY_MAX);
    limit(RLIMIT_CPU, CPU_S_MAX);
    limit(RLIMIT_FSIZE, FILE_MAX);
    limit(RLIMIT_CORE, 0);
    bytes = read_all("module.wasm", &count);
    if (parse(&parsed, bytes, count) < 0)
        leave(EXIT_MODULE, "%s", parsed.error);
    strip_module(&parsed);
    run(wasm2c, "wabt");
    write_runtime();
    write_source(&parsed);
    run(gcc, "gcc");
    parsed_fini(&parsed);
    free(bytes);
    return 0;
}
