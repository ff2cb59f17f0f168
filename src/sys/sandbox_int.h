/* sandbox_int.h: the parts of a sandbox: sandbox.c the order and the privileges, sandbox_paths.c landlock,
 * sandbox_calls.c seccomp. */
#ifndef SYS_SANDBOX_INT_H
#define SYS_SANDBOX_INT_H

#include "sandbox.h"

/* The sanitizers' run time looks at its own process and ends with a tracer: builds with them are for tests. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

must_check struct err sandbox_paths(const struct sandbox *s, int *version);
must_check struct err sandbox_calls(const struct sandbox *s);

#endif
