/* node: what runs in the containers of tests that need nodes and a mesh, but no Ray. One static program.
 *
 *   node serve HEAD ADDRESS    says hello to HEAD by UDP, now and then; hears the others' (port 7001);
 *                              echoes what it is told by TCP (port 7000)
 *   node witness HEAD          asks HEAD every second whom it heard lately: "alive ADDRESS…" */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ECHO_PORT 7000
#define HELLO_PORT 7001
#define HELLO_MS 200
#define LATELY_MS 2000
#define NODES_MAX 64

struct heard {
    struct in_addr who;
    long           at_ms;
};

static struct heard heard[NODES_MAX];
static size_t       heard_count;

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in place_of(const char *address, unsigned short port)
{
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (inet_pton(AF_INET, address, &place.sin_addr) != 1) die(address);
    return place;
}

static int open_at(int type, unsigned short port)
{
    const int          yes   = 1;
    struct sockaddr_in place = place_of("0.0.0.0", port);
    int                fd    = socket(AF_INET, type, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&place, sizeof place) < 0) die("bind");
    return fd;
}

static void echo(int listener)
{
    char    bytes[65536];
    ssize_t got;
    int     fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    if (fork() == 0) {
        while ((got = read(fd, bytes, sizeof bytes)) > 0)
            if (write(fd, bytes, (size_t)got) != got) break;
        _exit(0);
    }
    close(fd);
}

static void note(struct in_addr who)
{
    for (size_t i = 0; i < heard_count; i++) {
        if (heard[i].who.s_addr != who.s_addr) continue;
        heard[i].at_ms = now_ms();
        return;
    }
    if (heard_count < NODES_MAX) heard[heard_count++] = (struct heard){ who, now_ms() };
}

/* A hello is one byte; whatever is longer asks who there is. */
static void hear(int fd)
{
    char               bytes[64], answer[NODES_MAX * 20] = "";
    struct sockaddr_in from;
    socklen_t          size = sizeof from;
    ssize_t            got  = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
    if (got == 1) note(from.sin_addr);
    if (got <= 1) return;
    for (size_t i = 0; i < heard_count; i++) {
        if (now_ms() - heard[i].at_ms > LATELY_MS) continue;
        strcat(answer, " ");
        strcat(answer, inet_ntoa(heard[i].who));
    }
    (void)!sendto(fd, answer, strlen(answer) + 1, 0, (struct sockaddr *)&from, size);
}

static void serve(const char *head, const char *own)
{
    struct sockaddr_in to      = place_of(head, HELLO_PORT);
    struct pollfd      wait[2] = { { .fd = open_at(SOCK_STREAM, ECHO_PORT), .events = POLLIN },
                                   { .fd = open_at(SOCK_DGRAM, HELLO_PORT), .events = POLLIN } };
    signal(SIGCHLD, SIG_IGN);
    if (listen(wait[0].fd, 64) < 0) die("listen");
    printf("%s serves\n", own);
    for (long next_ms = 0;;) {
        if (now_ms() >= next_ms) {
            (void)!sendto(wait[1].fd, ".", 1, 0, (struct sockaddr *)&to, sizeof to);
            next_ms = now_ms() + HELLO_MS;
        }
        if (poll(wait, 2, HELLO_MS) < 0) die("poll");
        if (wait[0].revents) echo(wait[0].fd);
        if (wait[1].revents) hear(wait[1].fd);
    }
}

static void witness(const char *head)
{
    struct sockaddr_in to   = place_of(head, HELLO_PORT);
    struct pollfd      wait = { .fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN };
    char               answer[NODES_MAX * 20];
    for (;; usleep(300000)) {
        (void)!sendto(wait.fd, "who", 3, 0, (struct sockaddr *)&to, sizeof to);
        if (poll(&wait, 1, 700) != 1 || recv(wait.fd, answer, sizeof answer, 0) <= 0) continue;
        printf("alive%s\n", answer);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 4 && strcmp(argv[1], "serve") == 0) serve(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "witness") == 0) witness(argv[2]);
    fputs("node serve HEAD ADDRESS | node witness HEAD\n", stderr);
    return 2;
}
