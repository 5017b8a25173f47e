/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - glovebox-python: CPython, started with as little work as it can be.
 *
 * Opening a sandbox costs about as much as this start, so: nothing is looked
 * for in the file system (all paths are given), site is not imported, and what
 * CPython reads before it can run a line, as well as our own package, is frozen
 * into the program.  What a script imports comes from the root it runs in.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "guest_python.h"

#include "frozen.h"

#define VERSION L"3.11"

static const wchar_t *const debian[] = {
    L"/usr/lib/python" VERSION,
    L"/usr/lib/python" VERSION "/lib-dynload",
    L"/usr/local/lib/python" VERSION "/dist-packages",
    L"/usr/lib/python3/dist-packages",
};

/* In images that have compiled their own. */
static const wchar_t *const local[] = {
    L"/usr/local/lib/python" VERSION,
    L"/usr/local/lib/python" VERSION "/lib-dynload",
    L"/usr/local/lib/python" VERSION "/site-packages",
    NULL,
};

#define PATHS (sizeof(debian) / sizeof(debian[0]))

static int complain(const char *what)
{
    fprintf(stderr, "glovebox-python: %s\n", what);
    return 70;
}

static PyStatus preinitialize(void)
{
    PyPreConfig config;

    PyPreConfig_InitIsolatedConfig(&config);
    config.utf8_mode = 1;
    config.configure_locale = 0;
    config.coerce_c_locale = 0;
    return Py_PreInitialize(&config);
}

/* Every path that CPython would otherwise search for. */
static void set_paths(PyConfig *config)
{
    static wchar_t program_name[] = L"/usr/bin/python3", usr[] = L"/usr",
                   library[] = L"/usr/lib/python" VERSION, lib[] = L"lib";

    config->program_name = program_name;
    config->executable = program_name;
    config->base_executable = program_name;
    config->prefix = usr;
    config->base_prefix = usr;
    config->exec_prefix = usr;
    config->base_exec_prefix = usr;
    config->stdlib_dir = library;
    config->platlibdir = lib;
}

/* Not cleared: its texts are static or live as long as the program. */
static PyStatus initialize(void)
{
    const wchar_t *const *search_path = debian;
    PyConfig config;
    PyStatus status;

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.install_signal_handlers = 0;
    config.write_bytecode = 0;
    config.pathconfig_warnings = 0;
    config.use_frozen_modules = 1;
    config.module_search_paths_set = 1;
    set_paths(&config);
    if (access("/usr/lib/python3.11/os.py", F_OK) != 0)
        search_path = local;
    for (size_t i = 0; i < PATHS && search_path[i] != NULL; i++) {
        status = PyWideStringList_Append(&config.module_search_paths,
                                         search_path[i]);
        if (PyStatus_Exception(status))
            return status;
    }
    return Py_InitializeFromConfig(&config);
}

/* What a copy of a template takes for itself is drawn anew. */
static int multiply(PyObject *package)
{
    PyObject *nothing = PyObject_CallMethod(package, "_on_template", NULL);

    if (nothing == NULL)
        return -1;
    Py_DECREF(nothing);
    PyOS_BeforeFork();
    gbx_guest_multiply();
    PyOS_AfterFork_Child();
    return gbx_guest_attach(&program.guest);
}

int main(void)
{
    const bool is_template = gbx_guest_is_template();
    PyStatus status;
    PyObject *package;

    if (!is_template && gbx_guest_attach(&program.guest) < 0)
        return complain("this program is started by the Glovebox library");
    /* As python3 does it: a broken pipe is an exception, not the end. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* of C code in modules */

    PyImport_FrozenModules = frozen;
    if (PyImport_AppendInittab("_glovebox", module_init) < 0)
        return complain("no memory");
    status = preinitialize();
    if (!PyStatus_Exception(status))
        status = initialize();
    if (PyStatus_Exception(status))
        return complain(status.err_msg != NULL ? status.err_msg
                                               : "Python does not start");
    package = PyImport_ImportModule("glovebox");
    if (is_template && (package == NULL || multiply(package) < 0))
        return complain("no template can be made of this Python");
    if (package != NULL)
        serve();
    if (PyErr_Occurred())
        PyErr_Print();
    /* Threads and destructors of the script have no say in this. */
    _exit(70);
}
