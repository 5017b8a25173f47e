/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "runtime/warm/warm.h"
#include "sandbox/grants/grants.h"

/* Which folder a path leads to.  An image that was removed and came back has
 * the name that it had, and a template of it would look in what is gone. */
struct root_facts {
    uint64_t dev, ino;
    int64_t changed_s, changed_ns;
};

struct warm_language {
    struct warm_language *next;
    const struct backend *backend;
    char *program; /* owned */
    char *folder;  /* owned; "": it serves those of any folder */
    char *root;    /* owned; "": the usual one */
    struct root_facts root_facts;
    struct guest_ids ids;
    struct gbx_limits limits;
    uint32_t starts;
    struct template *template; /* counted, or NULL */
    bool is_hopeless;          /* it was tried, in vain */
    bool is_new;               /* and not in the cache */
    uint64_t used;             /* by the count of all uses, when last */
    struct bytes_out key;
    pthread_mutex_t making;
};

void warm_open(struct warm *warm, const struct cache *cache)
{
    *warm = (struct warm){.cache = cache};
    must(pthread_mutex_init(&warm->lock, NULL) == 0);
}

void warm_close(struct warm *warm)
{
    static const struct bytes_out none;

    while (warm->languages != NULL) {
        struct warm_language *language = warm->languages;

        warm->languages = language->next;
        if (language->is_new)
            cache_save(warm->cache, language->template, &language->key, &none);
        template_put(language->template);
        bytes_out_fini(&language->key);
        pthread_mutex_destroy(&language->making);
        free(language->program);
        free(language->folder);
        free(language->root);
        free(language);
    }
    pthread_mutex_destroy(&warm->lock);
}

/* Only root may show a copied process what its template does not show. */
static const char *folder_of(const struct sandbox_config *config)
{
    return config->backend->prepare != NULL && geteuid() != 0
               ? config->bundle.folder
               : NULL;
}

/* What is mounted in a process, its copies would share. */
static bool no_copy_has(const struct sandbox_config *config)
{
    const struct grants *grants = config->bundle.grants;

    return config->backend->prepare != NULL && grants != NULL &&
           grants->count > 0;
}

static const char *text_of(const char *folder)
{
    return folder != NULL ? folder : "";
}

static struct root_facts facts_of(const char *root)
{
    struct root_facts facts = {0};
    struct stat st;

    if (root == NULL || stat(root, &st) < 0)
        return facts;
    facts.dev = st.st_dev;
    facts.ino = st.st_ino;
    facts.changed_s = st.st_ctim.tv_sec;
    facts.changed_ns = st.st_ctim.tv_nsec;
    return facts;
}

/* But for which folder its root is. */
static bool is_like(const struct warm_language *language,
                    const struct sandbox_config *config)
{
    const struct guest_ids ids = bundle_ids(&config->bundle);

    return language->ids.uid == ids.uid && language->ids.gid == ids.gid &&
           language->backend == config->backend &&
           strcmp(language->program, config->bundle.program) == 0 &&
           strcmp(language->folder, text_of(folder_of(config))) == 0 &&
           strcmp(language->root, text_of(config->bundle.root)) == 0 &&
           memcmp(&language->limits, &config->bundle.limits,
                  sizeof(language->limits)) == 0;
}

/* Nobody asks for it any more, whoever has copies keeps them. */
static void retire_locked(struct warm_language *language)
{
    template_put(language->template);
    language->template = NULL;
    language->is_new = false;
    language->is_hopeless = true;
}

static struct warm_language *look_locked(struct warm *warm,
                                         const struct sandbox_config *config)
{
    const struct root_facts facts = facts_of(config->bundle.root);
    struct warm_language *language = warm->languages;

    for (; language != NULL; language = language->next) {
        if (!is_like(language, config))
            continue;
        if (memcmp(&language->root_facts, &facts, sizeof(facts)) == 0)
            return language;
        retire_locked(language);
    }
    return NULL;
}

static struct warm_language *find_locked(struct warm *warm,
                                         const struct sandbox_config *config)
{
    struct warm_language *language = look_locked(warm, config);

    if (language != NULL)
        return language;
    language = calloc(1, sizeof(*language));
    if (language == NULL)
        return NULL;
    language->root_facts = facts_of(config->bundle.root);
    language->program = strdup(config->bundle.program);
    language->folder = strdup(text_of(folder_of(config)));
    language->root = strdup(text_of(config->bundle.root));
    if (language->program == NULL || language->folder == NULL ||
        language->root == NULL) {
        free(language->program);
        free(language->folder);
        free(language->root);
        free(language);
        return NULL;
    }
    language->backend = config->backend;
    language->limits = config->bundle.limits;
    language->ids = bundle_ids(&config->bundle);
    cache_key(&language->key, config);
    must(pthread_mutex_init(&language->making, NULL) == 0);
    language->next = warm->languages;
    warm->languages = language;
    return language;
}

/* Nothing of a script is in it: no host calls, nobody who hears, nothing that
 * is mounted, and a folder only where it must be. */
static struct template *make(const struct sandbox_config *config,
                             uint64_t deadline_ns)
{
    struct sandbox_config bare = *config;
    struct template *template;

    bare.bundle.folder = folder_of(config);
    bare.bundle.grants = NULL;
    bare.output = NULL;
    bare.output_context = NULL;
    bare.bundle.is_watched = config->backend->save != NULL;
    return template_prepare(&template, &bare, deadline_ns, NULL) < 0 ? NULL
                                                                     : template;
}

/* One thread makes it, others wait. */
static void make_once(struct warm *warm, struct warm_language *language,
                      const struct sandbox_config *config, uint64_t deadline_ns)
{
    struct template *template;
    struct bytes_out extra;
    bool needs, is_new;

    pthread_mutex_lock(&language->making);
    pthread_mutex_lock(&warm->lock);
    needs = language->template == NULL && !language->is_hopeless;
    pthread_mutex_unlock(&warm->lock);
    if (needs) {
        template = cache_load(warm->cache, config, &language->key, &extra);
        bytes_out_fini(&extra);
        is_new = template == NULL;
        if (is_new)
            template = make(config, deadline_ns);
        pthread_mutex_lock(&warm->lock);
        language->template = template;
        language->is_new = is_new && template != NULL;
        language->is_hopeless = template == NULL;
        pthread_mutex_unlock(&warm->lock);
    }
    pthread_mutex_unlock(&language->making);
}

/* Tags move, and each digest has a template with descriptors of its own: those
 * of roots that were not asked for lately go. */
static struct warm_language *find_oldest_locked(const struct warm *warm)
{
    struct warm_language *oldest = NULL;
    uint32_t count = 0;

    for (struct warm_language *language = warm->languages; language != NULL;
         language = language->next) {
        if (language->root[0] == '\0' || language->template == NULL)
            continue;
        count++;
        if (oldest == NULL || language->used < oldest->used)
            oldest = language;
    }
    return count > WARM_ROOTS_MAX ? oldest : NULL;
}

static void shed(struct warm *warm)
{
    static const struct bytes_out none;
    struct warm_language *oldest;
    struct template *template = NULL;
    bool is_new = false;

    pthread_mutex_lock(&warm->lock);
    oldest = find_oldest_locked(warm);
    if (oldest != NULL) {
        template = oldest->template;
        is_new = oldest->is_new;
        oldest->template = NULL;
        oldest->is_new = false;
    }
    pthread_mutex_unlock(&warm->lock);
    if (is_new)
        cache_save(warm->cache, template, &oldest->key, &none);
    template_put(template);
}

struct template *warm_get(struct warm *warm,
                          const struct sandbox_config *config,
                          uint64_t deadline_ns)
{
    struct warm_language *language;
    struct template *template = NULL;
    bool wants;

    if (config->bundle.trace != NULL || no_copy_has(config) ||
        (config->backend->snapshot == NULL && config->backend->prepare == NULL))
        return NULL;
    pthread_mutex_lock(&warm->lock);
    language = find_locked(warm, config);
    if (language != NULL)
        language->used = ++warm->uses;
    wants = language != NULL &&
            (++language->starts > 1 ||
             (warm->cache->dir_fd >= 0 && config->backend->save != NULL));
    pthread_mutex_unlock(&warm->lock);
    if (!wants)
        return NULL;
    make_once(warm, language, config, deadline_ns);
    pthread_mutex_lock(&warm->lock);
    if (language->template != NULL)
        template = template_get(language->template);
    pthread_mutex_unlock(&warm->lock);
    shed(warm);
    return template;
}

bool warm_has(struct warm *warm, const struct sandbox_config *config)
{
    const struct warm_language *language;
    bool has;

    pthread_mutex_lock(&warm->lock);
    language = look_locked(warm, config);
    has = language != NULL && language->template != NULL;
    pthread_mutex_unlock(&warm->lock);
    return has;
}
