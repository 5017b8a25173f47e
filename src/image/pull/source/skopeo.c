/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/pull/source/skopeo.h"

#define LOOK_MS      50
#define EXIT_MISSING 127
#define SECOND_NS    1000000000ull

void skopeo_add(struct skopeo *skopeo, const char *word)
{
    if (skopeo->count + 1 < SKOPEO_WORDS)
        skopeo->words[skopeo->count++] = word;
}

void skopeo_begin(struct skopeo *skopeo, struct pull *pull, const char *act)
{
    *skopeo = (struct skopeo){.pull = pull};
    skopeo_add(skopeo, "glovebox-image");
    skopeo_add(skopeo, "skopeo"); /* what main is to do in the child */
    skopeo_add(skopeo, "skopeo");
    skopeo_add(skopeo, act);
}

int skopeo_become(char **words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(words[0], words);
    return EXIT_MISSING;
}

/* It works in the store, so that no path of ours has a ':' that it would take
 * for its own. */
static int spawn(pid_t *child, struct skopeo *skopeo, int out, int complaints)
{
    static char self[] = "/proc/self/exe";
    char *argv[SKOPEO_WORDS];
    posix_spawn_file_actions_t files;
    int rc;

    for (size_t i = 0; i < SKOPEO_WORDS; i++)
        memcpy(&argv[i], &skopeo->words[i], sizeof(argv[i]));
    posix_spawn_file_actions_init(&files);
    rc =
        posix_spawn_file_actions_addfchdir_np(&files, skopeo->pull->images->fd);
    if (rc == 0)
        rc =
            posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, complaints, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (rc == 0)
        rc = posix_spawn(child, self, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* What it printed, and when it was last heard of. */
struct hearing {
    struct skopeo *skopeo;
    int out, complaints; /* owned */
    char *text;          /* owned */
    size_t bytes, said;
    bool wants_text;
    uint64_t seen, moved_ns;
};

static int hear_text(struct hearing *self, struct gbx_error *err)
{
    char block[65536], *more;
    ssize_t n = read(self->out, block, sizeof(block));

    if (n < 0)
        return errno == EINTR ? 0 : fail(err, GBX_EHOST, "a pipe");
    if (n == 0)
        close_fd(&self->out);
    if (n == 0 || !self->wants_text)
        return 0;
    if (self->bytes + (size_t)n > MANIFEST_BYTES_MAX)
        return fail(err, GBX_ELIMIT,
                    "image %.80s: a manifest of more than 4 "
                    "MiB",
                    self->skopeo->pull->name);
    more = realloc(self->text, self->bytes + (size_t)n + 1);
    if (more == NULL)
        return fail(err, GBX_EHOST, "no memory for a manifest");
    memcpy(more + self->bytes, block, (size_t)n);
    self->text = more;
    self->bytes += (size_t)n;
    self->text[self->bytes] = '\0';
    self->moved_ns = clock_now_ns();
    return 0;
}

/* The end matters. */
static void hear_complaint(struct hearing *self)
{
    char *said = self->skopeo->said;
    const size_t half = SKOPEO_SAID / 2;
    ssize_t n;

    if (self->said >= SKOPEO_SAID - 1) {
        memmove(said, said + half, self->said - half);
        self->said -= half;
    }
    n = read(self->complaints, said + self->said, SKOPEO_SAID - 1 - self->said);
    if (n == 0 || (n < 0 && errno != EINTR))
        close_fd(&self->complaints);
    if (n > 0)
        self->said += (size_t)n;
    said[self->said] = '\0';
}

/* Has a byte come?  Is it time to give up? */
static int look(struct hearing *self, skopeo_look_fn *fn, struct gbx_error *err)
{
    struct pull *pull = self->skopeo->pull;
    const uint64_t now_ns = clock_now_ns();

    if (fn != NULL) {
        const uint64_t bytes = fn(pull);

        if (bytes != self->seen)
            self->moved_ns = now_ns;
        self->seen = pull->bytes = bytes;
    }
    source_progress(pull, fn != NULL ? GBX_IMAGE_FETCH : GBX_IMAGE_ASK);
    if (clock_is_past(pull->options.deadline_ns))
        return fail(err, GBX_ETIME,
                    "image %.100s did not come in time; what has come is kept, "
                    "and a pull goes on from there",
                    pull->name);
    if (now_ns - self->moved_ns > pull->options.silence_ns)
        return fail(err, GBX_ETIME,
                    "%.60s has sent nothing for %llu s; whole layers are kept, "
                    "and a pull goes on from there",
                    pull->reference.registry,
                    (unsigned long long)(pull->options.silence_ns / SECOND_NS));
    return 0;
}

static int hear(struct hearing *self, skopeo_look_fn *fn, struct gbx_error *err)
{
    int rc = 0;

    while (rc == 0 && (self->out >= 0 || self->complaints >= 0)) {
        struct pollfd files[2] = {{.fd = self->out, .events = POLLIN},
                                  {.fd = self->complaints, .events = POLLIN}};

        poll(files, 2, LOOK_MS);
        if (files[0].revents != 0)
            rc = hear_text(self, err);
        if (rc == 0 && files[1].revents != 0)
            hear_complaint(self);
        if (rc == 0)
            rc = look(self, fn, err);
    }
    return rc;
}

/* ---- what went wrong ---- */

static bool says(const struct skopeo *skopeo, const char *what)
{
    return strcasestr(skopeo->said, what) != NULL;
}

bool skopeo_was_cut(const struct skopeo *skopeo)
{
    return says(skopeo, "unexpected EOF") || says(skopeo, "connection reset") ||
           says(skopeo, "broken pipe");
}

/* Its last line: time="..." level=fatal msg="..." */
static const char *last_words(struct skopeo *skopeo)
{
    char *text = skopeo->said, *line, *msg;
    size_t bytes = strlen(text);

    while (bytes > 0 && text[bytes - 1] == '\n')
        text[--bytes] = '\0';
    line = strrchr(text, '\n');
    line = line != NULL ? line + 1 : text;
    msg = strstr(line, "msg=\"");
    if (msg == NULL)
        return line;
    msg += 5;
    bytes = strlen(msg);
    if (bytes > 0 && msg[bytes - 1] == '"')
        msg[bytes - 1] = '\0';
    return msg;
}

/* By what it says; the remedy is ours. */
static int explain(struct skopeo *skopeo, struct gbx_error *err)
{
    static const struct {
        const char *says;
        int code;
        const char *text;
    } known[] = {
        {"HTTP response to HTTPS client", GBX_EHOST,
         "it speaks http alone; if you trust the way there, --insecure"},
        {"x509", GBX_EHOST,
         "its certificate is not trusted; if you trust the way there, "
         "--insecure"},
        {"connection refused", GBX_EHOST,
         "nothing answers there; is its address right?"},
        {"no such host", GBX_EHOST, "there is no such host"},
        {"server misbehaving", GBX_EHOST, "its name cannot be looked up"},
        {"network is unreachable", GBX_EHOST, "the network is not there"},
        {"i/o timeout", GBX_ETIME, "it does not answer"},
        {"manifest unknown", GBX_EFILE, "it has no such image, or no such tag"},
        {"name unknown", GBX_EFILE, "it has no image of that name"},
        {"unauthorized", GBX_EFILE,
         "it lets nobody have it without a login, or there is none; skopeo "
         "login, or --auth-file"},
        {"denied", GBX_EFILE,
         "it does not let you have it, or there is none; skopeo login, or "
         "--auth-file"},
        {"authentication required", GBX_EFILE,
         "it wants a login: skopeo login, or --auth-file"},
        {"did not match", GBX_EFORMAT,
         "it sent other bytes than their digest says"},
        {"no space left", GBX_EHOST, "the disk is full"},
        {"unexpected EOF", GBX_EHOST,
         "the connection broke off; whole layers are kept, and a pull goes on "
         "from there"},
        {"connection reset", GBX_EHOST,
         "the connection broke off; whole layers are kept, and a pull goes on "
         "from there"},
        {"policy.json", GBX_EUNSUPPORTED,
         "skopeo has no policy (/etc/containers/policy.json)"},
    };
    const struct pull *pull = skopeo->pull;

    errno = 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (says(skopeo, known[i].says))
            return fail(err, known[i].code, "%.90s: %s", pull->name,
                        known[i].text);
    return fail(err, GBX_EHOST, "%.70s: skopeo: %.150s", pull->name,
                last_words(skopeo));
}

static int judge(struct skopeo *skopeo, int status, struct gbx_error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_MISSING)
        return fail(err, GBX_EUNSUPPORTED,
                    "skopeo is missing, which talks to registries (Debian: "
                    "apt-get install skopeo)");
    if (!WIFEXITED(status))
        return fail(err, GBX_EUNSUPPORTED,
                    "image %.80s: skopeo was killed (signal %d)",
                    skopeo->pull->name, WTERMSIG(status));
    return explain(skopeo, err);
}

static int run(struct hearing *self, skopeo_look_fn *fn, struct gbx_error *err)
{
    auto_fd int out = -1, complaints = -1;
    int pipes[2][2], status = 0, rc;
    pid_t child = 0;

    if (pipe2(pipes[0], O_CLOEXEC) < 0)
        return fail(err, GBX_EHOST, "a pipe");
    self->out = pipes[0][0];
    out = pipes[0][1];
    if (pipe2(pipes[1], O_CLOEXEC) < 0)
        return fail(err, GBX_EHOST, "a pipe");
    self->complaints = pipes[1][0];
    complaints = pipes[1][1];
    errno = spawn(&child, self->skopeo, out, complaints);
    if (errno != 0)
        return fail(err, GBX_EHOST, "skopeo cannot be started");
    close_fd(&out);
    close_fd(&complaints);
    self->moved_ns = clock_now_ns();
    rc = hear(self, fn, err);
    if (rc < 0)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return rc < 0 ? rc : judge(self->skopeo, status, err);
}

int skopeo_run(struct skopeo *skopeo, char **text, size_t *bytes,
               skopeo_look_fn *look_fn, struct gbx_error *err)
{
    struct hearing self = {.skopeo = skopeo,
                           .out = -1,
                           .complaints = -1,
                           .wants_text = text != NULL};
    int rc;

    skopeo->said[0] = '\0';
    rc = run(&self, look_fn, err);
    close_fd(&self.out);
    close_fd(&self.complaints);
    if (rc == 0 && text != NULL && self.text == NULL)
        rc = fail(err, GBX_EFORMAT, "%.100s: the registry said nothing",
                  skopeo->pull->name);
    if (rc < 0 || text == NULL) {
        free(self.text);
        return rc;
    }
    *text = self.text;
    *bytes = self.bytes;
    return 0;
}
