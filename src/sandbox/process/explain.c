/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - what went wrong, for a person: the step, the thing, the remedy.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/process/process.h"

static const char *step_text(uint32_t step)
{
    static const char *const texts[] = {
#define X(name, text) [STEP_##name] = text,
        INIT_STEPS(X)
#undef X
    };

    return step < ARRAY_SIZE(texts) ? texts[step] : "?";
}

/* A root of the guest's own has something else where we show ours. */
static bool is_in_the_way(const struct report *report)
{
    return report->step == STEP_OPERATION &&
           (report->sys == ELOOP || report->sys == ENOTDIR ||
            report->sys == EISDIR || report->sys == EROFS);
}

/* NULL: nothing that a mount or a root is the reason of. */
static const char *place_remedy(const struct report *report, bool owns_root)
{
    switch (report->sys) {
    case EROFS:
        return "; it is not there, and where it would be nothing can be made: "
               "choose another target, or an image that has it";
    case ESTALE:
        return "; its source was moved or replaced since it was opened";
    case EISDIR:
        return "; a file cannot be mounted there";
    case ELOOP:
    case ENOTDIR:
        return "; the root must have a directory there, or nothing";
    case EACCES:
        return owns_root
                   ? "; the root is closed to the guest's user: chmod o+rx it"
                   : NULL;
    default:
        return NULL;
    }
}

static const char *cow_remedy(const struct report *report)
{
    switch (report->sys) {
    case ESTALE:
        return place_remedy(report, false);
    case ENOSPC:
        return "; a copy of it is larger than the limit (disk)";
    case ENODEV:
        return "; modprobe overlay, or use the microvm isolation";
    case EPERM:
    case EACCES:
        return "; it must be open to the user of the guest";
    default:
        return "; nothing may be mounted below it (findmnt -R tells), and "
               "overlayfs must know its file system";
    }
}

/* What most often makes a step fail with this errno. */
static const char *remedy(const struct report *report, bool owns_root)
{
    const bool denied = report->sys == EPERM || report->sys == EACCES;

    switch (report->step) {
    case STEP_COW:
        return cow_remedy(report);
    case STEP_OPERATION:
        if (place_remedy(report, owns_root) != NULL)
            return place_remedy(report, owns_root);
        /* fallthrough */
    case STEP_ROOT:
    case STEP_PIVOT:
        if (denied)
            return "; in a container, allow mounts in user namespaces (its "
                   "seccomp and AppArmor profiles); glovebox doctor tells more";
        return report->sys == ENOSYS ? "; Linux 5.12 or newer is needed" : "";
    case STEP_FOLDER:
        if (denied)
            return "; its folders must be open to the user of the guest";
        return report->sys == EINVAL
                   ? "; nothing may be mounted below it (findmnt -R tells)"
                   : "";
    case STEP_OVERLAY:
        if (report->sys == ENODEV)
            return "; modprobe overlay, or use the microvm isolation";
        return "; on a file system that overlayfs knows (ext4, xfs, btrfs), "
               "or use the microvm isolation";
    case STEP_IDENTITY:
    case STEP_FORK:
        return report->sys == EAGAIN
                   ? "; RLIMIT_NPROC (ulimit -u) of the caller is reached"
                   : "";
    case STEP_SECCOMP:
        return "; a kernel with CONFIG_SECCOMP_FILTER is needed";
    case STEP_EXEC_GUEST:
        if (report->sys == ENOENT)
            return "; is its loader in /lib64 or /usr? (An image needs glibc)";
        if (report->sys == ENOMEM || report->sys == EAGAIN)
            return "; raise the memory or process limit";
        return denied ? "; is it executable for everybody?" : "";
    default:
        return "";
    }
}

static int code_of(const struct report *report, bool is_program)
{
    if (report->step == STEP_EXEC_GUEST && report->sys == ENOMEM)
        return GBX_EMEMORY;
    if (report->step == STEP_EXEC_GUEST)
        return is_program && (report->sys == ENOEXEC || report->sys == EACCES)
                   ? GBX_ELOAD
                   : GBX_EFILE;
    if (report->step == STEP_WORKING_DIR)
        return GBX_EFILE;
    if (is_in_the_way(report) || report->step == STEP_FOLDER ||
        report->sys == ESTALE)
        return GBX_EFILE;
    if (report->step == STEP_COW)
        return report->sys == ENOSPC ? GBX_EDISK : GBX_EUNSUPPORTED;
    if (report->sys == ENOSYS || report->sys == EPERM)
        return GBX_EUNSUPPORTED;
    if (report->step == STEP_OVERLAY)
        return GBX_EUNSUPPORTED;
    return GBX_EHOST;
}

/* What the step was about: a path in the root, or "". */
static const char *place_of(const struct process *self,
                            const struct report *report)
{
    const struct plan *plan = self->plan;

    if (report->step == STEP_WORKING_DIR)
        return plan->text + plan->working_dir;
    if (report->step == STEP_EXEC_GUEST && self->is_program)
        return plan->text + plan->program;
    if ((report->step == STEP_OPERATION || report->step == STEP_COW) &&
        report->detail < plan->operation_count)
        return plan->text + plan->operations[report->detail].target;
    return "";
}

int explain_report(const struct process *self, const struct report *report,
                   struct gbx_error *err)
{
    const char *reason = strerrordesc_np(report->sys),
               *place = place_of(self, report);
    int code = code_of(report, self->is_program);

    if (report->step == STEP_COPY)
        return explain_clone(report->sys, err);
    errno = 0;
    fail(err, code, "%s%s%s: %s%s", step_text(report->step),
         place[0] == '\0'  ? ""
         : place[0] == '/' ? ": "
                           : ": /",
         place, reason != NULL ? reason : "unknown error",
         remedy(report, self->plan->flags & PLAN_OWN_ROOT));
    if (err != NULL)
        err->sys = report->sys;
    return code;
}

int explain_clone(int sys, struct gbx_error *err)
{
    const char *why = strerrordesc_np(sys);

    switch (sys) {
    case ENOSPC:
    case EUSERS:
        why = "no more user namespaces are allowed; raise "
              "/proc/sys/user/max_user_namespaces";
        break;
    case EPERM:
        why = "user namespaces are not allowed; see the sysctls "
              "kernel.unprivileged_userns_clone (1) and "
              "kernel.apparmor_restrict_unprivileged_userns (0), or the "
              "container's seccomp profile";
        break;
    case EINVAL:
        why = "this kernel lacks a kind of namespace; glovebox doctor tells "
              "which";
        break;
    case EAGAIN:
        why = "RLIMIT_NPROC (ulimit -u) of the caller is reached";
        break;
    }
    errno = sys;
    return fail(err,
                sys == EAGAIN || sys == ENOMEM ? GBX_EHOST : GBX_EUNSUPPORTED,
                "make a sandbox: %s", why != NULL ? why : "unknown error");
}

void explain_end(const struct process *self, struct gbx_error *err)
{
    const struct ended *ended = &self->ended;
    const char *name = sigdescr_np(ended->signal);

    errno = 0;
    switch (self->last) {
    case GBX_EEXIT:
        fail(err, self->last,
             "the script ended its process without an answer: it exited with "
             "status %d",
             ended->status);
        break;
    case GBX_ESIGNAL:
        fail(err, self->last, "signal %d (%s) killed the guest", ended->signal,
             name != NULL ? name : "unknown");
        break;
    case GBX_ECPU:
        fail(err, self->last,
             "the CPU time limit of %" PRIu64 " ms was reached",
             self->limits.cpu_ns / 1000000u);
        break;
    case GBX_EMEMORY:
        fail(err, self->last, "the memory limit of %" PRIu64 " KiB was reached",
             self->limits.memory_bytes / 1024u);
        break;
    case GBX_EBROKEN:
        fail(err, self->last,
             "the sandbox's first process was killed from outside of it");
        break;
    default:
        fail(err, self->last, "%s", gbx_strerror(self->last));
    }
}
