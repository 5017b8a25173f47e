/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.c - the page that shows the daemon to a person: GET /
 *
 * It is the same for everybody and holds no data, so it needs no token: what it
 * shows, it asks for (stats.c), with the token that the person has.  Scripts
 * are hostile, and so are the names and texts that come from them: the page
 * puts them in as text, and the policy here forbids all else.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/dashboard/dashboard.h"
#include "page_ask_js.h"
#include "page_dashboard_js.h"
#include "page_dom_js.h"
#include "page_graph_js.h"
#include "page_index_html.h"
#include "page_layout_js.h"
#include "page_panels_js.h"
#include "page_style_css.h"
#include "page_try_js.h"

#define SCRIPT "text/javascript; charset=utf-8"
#define HTML   "text/html; charset=utf-8"

static const struct net_header headers[] = {
    {"content-security-policy:",
     "default-src 'none'; script-src 'self'; style-src 'self'; "
     "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'; require-trusted-types-for 'script'; "
     "trusted-types 'none'"},
    {"x-content-type-options:", "nosniff"},
    {"x-frame-options:", "DENY"},
    {"referrer-policy:", "no-referrer"},
    {"cross-origin-opener-policy:", "same-origin"},
    {"cross-origin-resource-policy:", "same-origin"},
    {"cache-control:", "no-cache"},
    {NULL, NULL}};

/* Without the zero that embed.py has put behind each. */
#define FILE_AT(path, type, name)                                              \
    {                                                                          \
        path, type, name, sizeof(name) - 1                                     \
    }

static const struct {
    const char *path, *type;
    const unsigned char *text;
    size_t bytes;
} files[] = {
    FILE_AT("/", HTML, page_index_html),
    FILE_AT("/dashboard", HTML, page_index_html),
    FILE_AT("/dashboard/style.css", "text/css; charset=utf-8", page_style_css),
    FILE_AT("/dashboard/ask.js", SCRIPT, page_ask_js),
    FILE_AT("/dashboard/dashboard.js", SCRIPT, page_dashboard_js),
    FILE_AT("/dashboard/dom.js", SCRIPT, page_dom_js),
    FILE_AT("/dashboard/graph.js", SCRIPT, page_graph_js),
    FILE_AT("/dashboard/layout.js", SCRIPT, page_layout_js),
    FILE_AT("/dashboard/panels.js", SCRIPT, page_panels_js),
    FILE_AT("/dashboard/try.js", SCRIPT, page_try_js),
};

bool page_reply(struct net_request *request)
{
    char *text;

    if (strcmp(request->method, "GET") != 0 &&
        strcmp(request->method, "HEAD") != 0)
        return false;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(request->path, files[i].path) != 0)
            continue;
        text = malloc(files[i].bytes);
        if (text != NULL)
            memcpy(text, files[i].text, files[i].bytes);
        net_reply_headers(request, headers);
        net_reply(request, text != NULL ? 200 : 500, files[i].type, text,
                  text != NULL ? files[i].bytes : 0);
        return true;
    }
    return false;
}
