/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.c - the host's side of a zygote (init/zygote.c): started once for a
 * template, asked for a copy by each clone.
 *
 * An order is one message with all that init and a guest are born with, so any
 * thread may send one at any time.  The answers come through the copy's own
 * control socket, which only that copy's host has: they cannot be mixed up.
 *
 * A zygote that is gone takes nothing with it but the chance to make more.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/process.h"

#define ORDER_MS 10000 /* to wait for a zygote that has too many orders */

static int keep_names(struct snapshot *made, const struct bundle *what,
                      struct gbx_error *err)
{
    made->program = strdup(what->program);
    if (what->folder != NULL)
        made->folder = strdup(what->folder);
    return made->program != NULL &&
                   (what->folder == NULL || made->folder != NULL)
               ? 0
               : fail(err, GBX_EHOST, "no memory for a template");
}

/* Until its language is ready, it may print why it does not get there. */
static int await_language(struct process *zygote, uint64_t deadline_ns,
                          struct gbx_error *err)
{
    int rc = process_run(zygote, deadline_ns);

    zygote->output = NULL;
    if (rc == GBX_ETIME)
        return fail(err, rc, "the guest program did not start in time");
    if (rc == GBX_EEXIT || rc == GBX_ESIGNAL)
        return fail(err, GBX_EUNSUPPORTED,
                    "the guest program ended before it could be a template");
    if (rc < 0)
        explain_end(zygote, err);
    return rc;
}

int process_prepare(const struct bundle *what, uint64_t deadline_ns,
                    struct snapshot **snapshot, struct gbx_error *err)
{
    struct snapshot *made = calloc(1, sizeof(*made));
    struct process *zygote;
    int rc;

    *snapshot = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a template");
    made->references = 1;
    zygote = &made->zygote;
    process_init(zygote);
    zygote->is_zygote = true;
    if ((rc = keep_names(made, what, err)) < 0 ||
        (rc = process_take(zygote, what, err)) < 0 ||
        (rc = process_find(zygote, what, err)) < 0 ||
        (rc = cell_start(zygote, err)) < 0 ||
        (rc = await_language(zygote, deadline_ns, err)) < 0)
        process_put(made);
    else
        *snapshot = made;
    return rc;
}

void process_put(struct snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->references, 1) > 1)
        return;
    process_fini(&snapshot->zygote);
    free(snapshot->program);
    free(snapshot->folder);
    free(snapshot);
}

/* What a copy sees is what its zygote sees. */
static int check_same(const struct snapshot *snapshot,
                      const struct bundle *what, struct gbx_error *err)
{
    const char *folder = what->folder != NULL ? what->folder : "",
               *shown = snapshot->folder != NULL ? snapshot->folder : "";

    errno = 0;
    if (strcmp(what->program, snapshot->program) != 0)
        return fail(err, GBX_ESTALE, "the template is of %s, not of %s",
                    snapshot->program, what->program);
    if (strcmp(folder, shown) != 0)
        return fail(err, GBX_ESTALE,
                    "the template shows the folder \"%s\", not \"%s\"", shown,
                    folder);
    return 0;
}

int process_clone(void *context, const struct bundle *what,
                  struct snapshot *snapshot, struct region *shared,
                  struct gbx_error *err)
{
    const struct process *zygote = &snapshot->zygote;
    struct process *self = context;
    int rc;

    process_init(self);
    atomic_fetch_add(&snapshot->references, 1);
    self->from = snapshot;
    self->shared = shared;
    if ((rc = process_take(self, what, err)) < 0 ||
        (rc = check_same(snapshot, what, err)) < 0)
        return rc;
    self->plan->uid = zygote->plan->uid;
    self->plan->gid = zygote->plan->gid;
    self->uid = zygote->uid;
    self->gid = zygote->gid;
    draft_copy(self);
    /* Pid 1 of a copy is of the guest's own user, so it is counted, too. */
    plan_set_processes(self->plan, self->limits.processes + 1ull);
    if (region_seed(shared) < 0)
        return fail(err, GBX_EHOST, "draw a seed");
    return cell_start(self, err);
}

/* Its cgroup has the name of the zygote's before its own. */
static int step_cgroup(struct process *self, int *fds, size_t *count,
                       struct gbx_error *err)
{
    struct cgroup *cgroup = &self->cgroup;
    int rc;

    cgroup_choose_inside(cgroup, &self->from->zygote.cgroup);
    if (cgroup->version == 1 && self->limits.cpu_ns == 0)
        cgroup->parent[CGROUP_CPU] = -1;
    if ((rc = cell_make_cgroup(self, err)) < 0 ||
        (rc = cgroup_hand_over(cgroup, self->uid, self->gid, err)) < 0)
        return rc;
    for (int i = 0; i < PLAN_CGROUPS; i++)
        if (self->plan->cgroups & (1u << i)) {
            if ((fds[*count] = cgroup_entry(cgroup, i)) < 0)
                return fail(err, GBX_EHOST, "open a cgroup");
            ++*count;
        }
    return 0;
}

static int send_order(struct process *self, const int *fds, size_t count,
                      struct gbx_error *err)
{
    _Alignas(
        struct cmsghdr) char rights[CMSG_SPACE(ORDER_FDS_MAX * sizeof(int))] = {
        0};
    const int orders = self->from->zygote.cell.orders;
    struct pollfd room = {.fd = orders, .events = POLLOUT};
    struct iovec all = {.iov_base = self->plan,
                        .iov_len = plan_bytes(self->plan)};
    struct msghdr message = {.msg_iov = &all,
                             .msg_iovlen = 1,
                             .msg_control = rights,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    while (sendmsg(orders, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EPIPE || errno == ECONNRESET) {
            errno = 0;
            return fail(err, GBX_ESTALE, "the template's process has ended");
        }
        if (errno != EAGAIN)
            return fail(err, GBX_EHOST, "ask a template for a sandbox");
        if (poll(&room, 1, ORDER_MS) == 0)
            return fail(err, GBX_ETIME, "the template's process is too busy");
    }
    return 0;
}

int zygote_order(struct process *self, struct ends *ends, struct gbx_error *err)
{
    int fds[ORDER_FDS_MAX] = {
        [INIT_FD_OUT - 1] = ends->output[0],
        [INIT_FD_ERR - 1] = ends->output[1],
        [INIT_FD_HOST_HALF - 1] = self->shared->host_read_fd,
        [INIT_FD_GUEST_HALF - 1] = self->shared->fd[HALF_GUEST],
        [INIT_FD_BELL - 1] = self->cell.bell,
        [INIT_FD_CONTROL - 1] = ends->control,
        [INIT_FD_START - 1] = ends->start,
        [INIT_FD_CALLER - 1] = ends->caller,
    };
    size_t count = ORDER_FDS;
    int rc = step_cgroup(self, fds, &count, err);

    if (rc == 0)
        rc = send_order(self, fds, count, err);
    for (size_t i = ORDER_FDS; i < count; i++)
        close(fds[i]);

    /* Only the copy has these now, so that an end is seen as one. */
    close_fd(&ends->output[0]);
    close_fd(&ends->output[1]);
    close_fd(&ends->control);
    close_fd(&ends->start);
    return rc;
}
