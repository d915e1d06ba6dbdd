/*
 * A PKCS#11 module that hands every call to the real module named by FAULTY_REAL, and does badly what the file FAULTY_ORDERS
 * says: lines "<function> rv <number> <count>" (answer that, so many times) or "<function> sleep <milliseconds> <count>".
 * Built and loaded by the tests: what a real token does when it is pulled cannot be had of SoftHSM otherwise.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef unsigned long ul;
typedef struct { unsigned char version[2]; void *functions[68]; } list_t;

static list_t *real;
static list_t mine;

static int ordered(const char *name, ul *rv) {
  const char *path = getenv("FAULTY_ORDERS");
  FILE *file = path ? fopen(path, "r+") : NULL;
  if (!file) return 0;
  flock(fileno(file), LOCK_EX);
  char function[64], what[16];
  long value, count;
  int found = 0;
  for (long at = ftell(file); fscanf(file, " %63s %15s %li %5ld", function, what, &value, &count) == 4; at = ftell(file)) {
    if (strcmp(function, name) != 0 || count < 1) continue;
    /* The count has five digits, so that it is written over in its place. */
    long end = ftell(file);
    fseek(file, end - 5, SEEK_SET);
    fprintf(file, "%05ld", count - 1);
    found = strcmp(what, "rv") == 0 ? 1 : 2;
    break;
  }
  fclose(file);
  if (found == 2) usleep(value * 1000);
  if (found == 1) *rv = value;
  return found == 1;
}

#define WRAP(index, name, parameters, arguments) \
  static ul my_##name parameters {               \
    ul rv;                                       \
    if (ordered(#name, &rv)) return rv;          \
    return ((ul(*) parameters)real->functions[index]) arguments; \
  }

WRAP(0, C_Initialize, (void *a), (a))
WRAP(4, C_GetSlotList, (unsigned char a, ul *b, ul *c), (a, b, c))
WRAP(12, C_OpenSession, (ul a, ul b, void *c, void *d, ul *e), (a, b, c, d, e))
WRAP(18, C_Login, (ul a, ul b, void *c, ul d), (a, b, c, d))
WRAP(43, C_Sign, (ul a, void *b, ul c, void *d, ul *e), (a, b, c, d, e))
WRAP(59, C_GenerateKeyPair, (ul a, void *b, void *c, ul d, void *e, ul f, ul *g, ul *h), (a, b, c, d, e, f, g, h))

ul C_GetFunctionList(void **list) {
  void *library = dlopen(getenv("FAULTY_REAL"), RTLD_NOW | RTLD_DEEPBIND);
  if (!library) return 5;
  ul (*get)(list_t **) = (ul(*)(list_t **))dlsym(library, "C_GetFunctionList");
  ul rv = get(&real);
  if (rv) return rv;
  mine = *real;
  mine.functions[0] = my_C_Initialize;
  mine.functions[4] = my_C_GetSlotList;
  mine.functions[12] = my_C_OpenSession;
  mine.functions[18] = my_C_Login;
  mine.functions[43] = my_C_Sign;
  mine.functions[59] = my_C_GenerateKeyPair;
  *list = &mine;
  return 0;
}
