/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "image/layer/hash.h"

void hash_fini(struct hash *hash)
{
    EVP_MD_CTX_free(hash->context);
    hash->context = NULL;
}

void hash_begin(struct hash *hash)
{
    hash->context = EVP_MD_CTX_new();
    if (hash->context != NULL &&
        EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1)
        hash_fini(hash);
}

void hash_add(struct hash *hash, const void *bytes, size_t count)
{
    if (hash->context != NULL &&
        EVP_DigestUpdate(hash->context, bytes, count) != 1)
        hash_fini(hash);
}

bool hash_end(struct hash *hash, char digest[DIGEST_BYTES])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    bool well = hash->context != NULL &&
                EVP_DigestFinal_ex(hash->context, raw, &bytes) == 1;
    int at = 0;

    digest[0] = '\0';
    if (well)
        at = snprintf(digest, DIGEST_BYTES, "sha256:");
    for (unsigned i = 0; well && i < bytes; i++)
        at += snprintf(digest + at, DIGEST_BYTES - (size_t)at, "%02x", raw[i]);
    hash_fini(hash);
    return well;
}

bool hash_bytes(const void *bytes, size_t count, char digest[DIGEST_BYTES])
{
    struct hash hash;

    hash_begin(&hash);
    hash_add(&hash, bytes, count);
    return hash_end(&hash, digest);
}
