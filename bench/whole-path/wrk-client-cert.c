/* Gives wrk a client certificate, which it cannot take by itself:
 *   gcc -shared -fPIC -o wrk-client-cert.so wrk-client-cert.c -ldl -lssl
 *   LD_PRELOAD=./wrk-client-cert.so CLIENT_CERT=c.pem CLIENT_KEY=c.key wrk https://127.0.0.1:8443/
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method) {
  static SSL_CTX *(*original)(const SSL_METHOD *);
  if (!original) original = dlsym(RTLD_NEXT, "SSL_CTX_new");
  SSL_CTX *context = original(method);
  const char *certificate = getenv("CLIENT_CERT");
  const char *key = getenv("CLIENT_KEY");
  if (context && certificate && key &&
      (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)) {
    fprintf(stderr, "client certificate not usable\n");
  }
  return context;
}
