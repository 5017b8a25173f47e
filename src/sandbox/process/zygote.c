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

static bool has_grants(const struct bundle *what)
{
    return what->grants != NULL && what->grants->count > 0;
}

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
    if (what->root != NULL || has_grants(what)) {
        free(made);
        errno = 0;
        return fail(err, GBX_EUNSUPPORTED,
                    "a process with a root or mounts of its own is no "
                    "template: its copies would share what they change there");
    }
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
        snapshot->idmap_fd = mount_idmap(uid, gid);
        snapshot->idmap_uid = uid;
        snapshot->idmap_gid = gid;
    }
    if (snapshot->idmap_uid == uid && snapshot->idmap_gid == gid)
        fd = fcntl(snapshot->idmap_fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_unlock(&snapshot->lock);
    return fd >= 0 ? fd : mount_idmap(uid, gid);
}

/*
 * What a copy sees is what its zygote sees; but where the host can bring
 * mounts, a folder of its own is put over that.  Sets *brings when it is.
 */
static int check_same(const struct snapshot *snapshot,
                      const struct bundle *what, bool *brings,
                      struct gbx_error *err)
{
    const struct guest_ids ids = bundle_ids(what);
    const char *folder = what->folder != NULL ? what->folder : "",
               *shown = snapshot->folder != NULL ? snapshot->folder : "";

    errno = 0;
    if (what->root != NULL || has_grants(what))
        return fail(err, GBX_ESTALE,
                    "the template has neither a root of its own nor mounts");
    if (ids.uid != snapshot->zygote.ids.uid ||
        ids.gid != snapshot->zygote.ids.gid)
        return fail(err, GBX_ESTALE, "the template is of another user");
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

int process_begin(void *context, const struct bundle *what,
                  struct snapshot *snapshot, struct gbx_error *err)
{
    struct process *self = context;
    int rc;

    process_init(self);
    atomic_fetch_add(&snapshot->references, 1);
    self->from = snapshot;
    self->uid = snapshot->zygote.uid;
    self->gid = snapshot->zygote.gid;
    if ((rc = process_take(self, what, err)) < 0 ||
        (rc = check_same(snapshot, what, &self->brings_mounts, err)) < 0)
        return rc;
    return cell_order(self, err);
}

int process_clone(void *context, const struct bundle *what,
                  struct snapshot *snapshot, struct region *shared,
                  struct gbx_error *err)
{
    struct process *self = context;
    int rc;

    (void)snapshot; /* it is what was begun with */
    self->shared = shared;
    if (self->brings_mounts &&
        (rc = mount_find(self, &self->folder, what->folder, AT_RECURSIVE,
                         err)) < 0)
        return rc;
    if ((rc = draft_copy(self, what, err)) < 0)
        return rc;
    /* Pid 1 of a copy is of the guest's own user, so it is counted, too. */
    plan_set_processes(self->plan, self->limits.processes + 1ull);
    if (region_seed(shared) < 0)
        return fail(err, GBX_EHOST, "draw a seed");
    return cell_start(self, err);
}

/* Returns 0, or -1 with errno. */
static int send_with(int to, const void *bytes, size_t byte_count,
                     const int *fds, size_t count)
{
    _Alignas(
        struct cmsghdr) char rights[CMSG_SPACE(COPY_FDS_MAX * sizeof(int))] = {
        0};
    struct iovec all = {.iov_base = (void *)(uintptr_t)bytes,
                        .iov_len = byte_count};
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

static int send_order(int orders, const struct order *order, const int *fds,
                      struct gbx_error *err)
{
    struct pollfd room = {.fd = orders, .events = POLLOUT};

    while (send_with(orders, order, sizeof(*order), fds,
                     ORDER_FDS + order->in_cgroup) < 0) {
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

/* v2: it is born in its cgroup, which is there before it. */
static int make_cgroup(struct process *self, struct order *order, int *entry,
                       struct gbx_error *err)
{
    int rc;

    if (self->cgroup.version != 2)
        return 0;
    if ((rc = cell_make_cgroup(self, err)) < 0 ||
        (rc = cgroup_hand_over(&self->cgroup, self->uid, self->gid, err)) < 0)
        return rc;
    if ((*entry = cgroup_entry(&self->cgroup, 0)) < 0)
        return fail(err, GBX_EHOST, "open a cgroup");
    order->in_cgroup = 1;
    return 0;
}

int zygote_order(struct process *self, const struct ends *ends,
                 struct gbx_error *err)
{
    const struct process *zygote = &self->from->zygote;
    struct order order = {
        .magic = ORDER_MAGIC,
        .uid = zygote->ids.uid,
        .gid = zygote->ids.gid,
    };
    auto_fd int entry = -1;
    int rc;

    cgroup_choose_inside(&self->cgroup, &zygote->cgroup);
    memcpy(order.name, self->cgroup.name, sizeof(order.name));
    if ((rc = make_cgroup(self, &order, &entry, err)) < 0)
        return rc;
    return send_order(zygote->cell.orders, &order,
                      (int[ORDER_FDS_MAX]){ends->control, ends->start,
                                           ends->caller, zygote->init_fd,
                                           entry},
                      err);
}

/* v1: it joins its cgroup when that is there.  Returns 0, or a code and less
 * than all is in `fds`. */
static int open_cgroups(struct process *self, int *fds, size_t *count,
                        struct gbx_error *err)
{
    struct cgroup *cgroup = &self->cgroup;
    int rc;

    if (cgroup->version != 1)
        return 0;
    if (self->limits.cpu_ns == 0)
        cgroup->parent[CGROUP_CPU] = -1;
    if ((rc = cell_make_cgroup(self, err)) < 0)
        return rc;
    for (int i = 0; i < PLAN_CGROUPS; i++) {
        if (cgroup->parent[i] < 0)
            continue;
        if ((fds[*count] = cgroup_entry(cgroup, i)) < 0)
            return fail(err, GBX_EHOST, "open a cgroup");
        ++*count;
    }
    return 0;
}

/* A broken connection has a reason, which cell_start will hear. */
static int send_plan(const struct process *self, const int *fds, size_t count,
                     struct gbx_error *err)
{
    if (send_with(self->cell.control, self->plan, plan_bytes(self->plan), fds,
                  count) < 0 &&
        errno != EPIPE && errno != ECONNRESET)
        return fail(err, GBX_EHOST, "send to a copy");
    return 0;
}

int zygote_tell(struct process *self, const struct ends *ends,
                struct gbx_error *err)
{
    int fds[COPY_FDS_MAX] = {
        [INIT_FD_OUT - 1] = ends->output[0],
        [INIT_FD_ERR - 1] = ends->output[1],
        [INIT_FD_HOST_HALF - 1] = self->shared->host_read_fd,
        [INIT_FD_GUEST_HALF - 1] = self->shared->fd[HALF_GUEST],
        [INIT_FD_BELL - 1] = self->cell.bell,
    };
    size_t count = COPY_FDS, own;
    int rc;

    if (ends->tmp >= 0)
        fds[count++] = ends->tmp;
    if (ends->folder >= 0)
        fds[count++] = ends->folder;
    own = count;
    if ((rc = open_cgroups(self, fds, &count, err)) == 0 &&
        (rc = cell_limit(self, err)) == 0)
        rc = send_plan(self, fds, count, err);
    while (count > own)
        close(fds[--count]);
    return rc;
}
