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
#include <fcntl.h>
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
    made->idmap_fd = -1;
    pthread_mutex_init(&made->lock, NULL);
    zygote = &made->zygote;
    process_init(zygote);
    zygote->is_zygote = true;
    if ((rc = keep_names(made, what, err)) < 0 ||
        (rc = process_take(zygote, what, err)) < 0 ||
        (rc = process_find(zygote, what, err)) < 0 ||
        (rc = cell_start(zygote, err)) < 0 ||
        (rc = cgroup_hand_over(&zygote->cgroup, zygote->uid, zygote->gid,
                               err)) < 0 ||
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
    close_fd(&snapshot->idmap_fd);
    pthread_mutex_destroy(&snapshot->lock);
    free(snapshot->program);
    free(snapshot->folder);
    free(snapshot);
}

int zygote_idmap(struct snapshot *snapshot, uid_t uid, gid_t gid)
{
    int fd = -1;

    pthread_mutex_lock(&snapshot->lock);
    if (snapshot->idmap_fd < 0) {
        snapshot->idmap_fd = process_idmap(uid, gid);
        snapshot->idmap_uid = uid;
        snapshot->idmap_gid = gid;
    }
    if (snapshot->idmap_uid == uid && snapshot->idmap_gid == gid)
        fd = fcntl(snapshot->idmap_fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_unlock(&snapshot->lock);
    return fd >= 0 ? fd : process_idmap(uid, gid);
}

/*
 * What a copy sees is what its zygote sees; but where the host can bring
 * mounts, a folder of its own is put over that.  Sets *brings when it is.
 */
static int check_same(const struct snapshot *snapshot,
                      const struct bundle *what, bool *brings,
                      struct gbx_error *err)
{
    const char *folder = what->folder != NULL ? what->folder : "",
               *shown = snapshot->folder != NULL ? snapshot->folder : "";

    errno = 0;
    if (strcmp(what->program, snapshot->program) != 0)
        return fail(err, GBX_ESTALE, "the template is of %s, not of %s",
                    snapshot->program, what->program);
    *brings = strcmp(folder, shown) != 0;
    if (*brings && (what->folder == NULL || !snapshot->zygote.brings_mounts))
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
        (rc = check_same(snapshot, what, &self->brings_mounts, err)) < 0 ||
        (self->brings_mounts &&
         (rc = process_find_folder(self, what, err)) < 0))
        return rc;
    self->plan->uid = zygote->plan->uid;
    self->plan->gid = zygote->plan->gid;
    self->uid = zygote->uid;
    self->gid = zygote->gid;
    if ((rc = draft_copy(self, what, err)) < 0)
        return rc;
    /* Pid 1 of a copy is of the guest's own user, so it is counted, too. */
    plan_set_processes(self->plan, self->limits.processes + 1ull);
    if (region_seed(shared) < 0)
        return fail(err, GBX_EHOST, "draw a seed");
    return cell_start(self, err);
}

static int step_cgroup(struct process *self, struct gbx_error *err)
{
    int rc = cell_make_cgroup(self, err);

    return rc < 0 ? rc
                  : cgroup_hand_over(&self->cgroup, self->uid, self->gid, err);
}

/* Returns 0, or -1 with errno. */
static int send_with(int to, void *bytes, size_t byte_count, const int *fds,
                     size_t count)
{
    _Alignas(
        struct cmsghdr) char rights[CMSG_SPACE(ORDER_FDS_MAX * sizeof(int))] = {
        0};
    struct iovec all = {.iov_base = bytes, .iov_len = byte_count};
    struct msghdr message = {.msg_iov = &all,
                             .msg_iovlen = 1,
                             .msg_control = rights,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    ssize_t rc;

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    do {
        rc = sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -1 : 0;
}

static int send_order(struct process *self, const int *fds, size_t count,
                      struct gbx_error *err)
{
    const int orders = self->from->zygote.cell.orders;
    struct pollfd room = {.fd = orders, .events = POLLOUT};

    while (send_with(orders, self->plan, plan_bytes(self->plan), fds, count) <
           0) {
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

/* v2: it is born in its cgroup. */
static int step_order(struct process *self, const struct ends *ends,
                      struct gbx_error *err)
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
        [ORDER_FD_INIT - 1] = self->from->zygote.init_fd,
    };
    size_t count = ORDER_FDS;
    auto_fd int entry = -1;
    int rc;

    if (ends->folder >= 0)
        fds[count++] = ends->folder;
    if (self->cgroup.version != 2)
        return send_order(self, fds, count, err);
    if ((rc = step_cgroup(self, err)) < 0)
        return rc;
    if ((entry = cgroup_entry(&self->cgroup, 0)) < 0)
        return fail(err, GBX_EHOST, "open a cgroup");
    fds[count++] = entry;
    return send_order(self, fds, count, err);
}

/* v1: it joins its cgroup once it is there, which is made meanwhile. */
static int step_join(struct process *self, struct gbx_error *err)
{
    int fds[PLAN_CGROUPS], rc = step_cgroup(self, err);
    uint64_t join = JOIN_MAGIC;
    size_t count = 0;

    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < PLAN_CGROUPS; i++) {
        if ((self->plan->cgroups & (1u << i)) == 0)
            continue;
        if ((fds[count] = cgroup_entry(&self->cgroup, i)) < 0)
            rc = fail(err, GBX_EHOST, "open a cgroup");
        else
            count++;
    }
    /* A broken connection has a reason, which cell_start will hear. */
    if (rc == 0 &&
        send_with(self->cell.control, &join, sizeof(join), fds, count) < 0 &&
        errno != EPIPE && errno != ECONNRESET)
        rc = fail(err, GBX_EHOST, "send to a copy");
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    return rc;
}

int zygote_order(struct process *self, struct ends *ends, struct gbx_error *err)
{
    struct cgroup *cgroup = &self->cgroup;
    int rc;

    cgroup_choose_inside(cgroup, &self->from->zygote.cgroup);
    memcpy(self->plan->name, cgroup->name, sizeof(cgroup->name));
    if (cgroup->version == 1 && self->limits.cpu_ns == 0)
        cgroup->parent[CGROUP_CPU] = -1;
    self->plan->flags = cgroup->version == 1   ? PLAN_CGROUP_V1
                        : cgroup->version == 2 ? PLAN_CGROUP_V2
                                               : 0;
    if (ends->folder >= 0)
        self->plan->flags |= PLAN_FOLDER;
    rc = step_order(self, ends, err);

    /* Only the copy has these now, so that an end is seen as one. */
    close_fd(&ends->output[0]);
    close_fd(&ends->output[1]);
    close_fd(&ends->control);
    close_fd(&ends->start);
    return rc == 0 && cgroup->version == 1 ? step_join(self, err) : rc;
}
