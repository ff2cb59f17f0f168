/* test_world_int.h: a network for a real worker to belong to: its link, its recipes, its gateway's tunnels, a
 * registry with one small image; all on loopback, driven by the test. The worker is this same program,
 * started anew. */
#ifndef IONET_WORKER_TEST_WORLD_INT_H
#define IONET_WORKER_TEST_WORLD_INT_H

#include "link/ticket.h"
#include "site.h"
#include "sys/sys.h"
#include "json/json.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#define WORLD_MS_MAX 20000
#define WORLD_CGROUP "ionet-worker-test"
#define WORLD_SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define WORLD_TICKET "the-ticket"
#define WORLD_TUNNELS_MAX 16

struct world_tunnel {
    struct net_raw *raw;
    bool            used;
    char            got[4096];
    size_t          got_len;
};

struct world {
    char                dir[128];
    struct net         *net;
    struct net_server  *server;
    struct net_pin      pin;
    struct sign_key     key; /* the network's signing key */
    struct public_key   public_key;
    uint8_t             nonce[32];
    struct device_id    device;
    pid_t               registry, worker;
    uint16_t            registry_port;
    char                image[ASSIGN_IMAGE_TEXT];
    char                recipe[4096];
    struct hash         recipe_hash;
    uint32_t            recipe_asked;
    uint64_t            epoch, version;
    struct net_socket  *link;
    struct link_hello   hello;
    bool                up; /* proven */
    uint32_t            ups;
    struct observed     observed;
    struct device_specs specs;
    uint32_t            observed_count;
    struct witnessed    witnessed;
    uint32_t            witnessed_count;
    uint32_t            silent_count;
    struct world_tunnel tunnels[WORLD_TUNNELS_MAX];
};

#define assert_ok(expression)                                                               \
    do {                                                                                    \
        struct err world_err_ = (expression);                                               \
        if (world_err_.code) fail_msg("%s: %s", err_name(world_err_.code), world_err_.why); \
    } while (0)

/* ---- what runs in its containers --------------------------------------------------------------------- */

static const char world_program[] =
    "#include <arpa/inet.h>\n#include <fcntl.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include "
    "<string.h>\n#include "
    "<time.h>\n#include <unistd.h>\n"
    "static int at(const char *a,int p,struct sockaddr_in*s){memset(s,0,sizeof*s);s->sin_family=AF_INET;"
    "s->sin_port=htons(p);inet_pton(AF_INET,a,&s->sin_addr);return socket(AF_INET,SOCK_STREAM,0);}\n"
    "static void serve(int port){struct sockaddr_in s;char b[512];int l=at(\"0.0.0.0\",port,&s);ssize_t n;"
    "if(bind(l,(void*)&s,sizeof s)||listen(l,8))exit(9);"
    "printf(\"serving with %s\\n\",getenv(\"TOKEN\"));"
    "for(unsigned c=1;;c++){int f=accept(l,0,0);dprintf(f,\"caller %u\\n\",c);printf(\"caller %u\\n\",c);"
    "while((n=read(f,b,sizeof b))>0)if(write(f,b,n)<0)break;close(f);}}\n"
    "static void call(const char*a,int port){struct sockaddr_in s;char b[64]={0};for(;;usleep(50000)){"
    "int f=at(a,port,&s);if(connect(f,(void*)&s,sizeof s)==0&&read(f,b,63)>0){printf(\"answered: "
    "%s\",b);for(;;)pause();}"
    "close(f);}}\n"
    "static void out(const char*by){struct sockaddr_in s;char b[64],was[64]=\"\";for(;;usleep(200000)){"
    "int f=at(\"127.0.0.1\",3128,&s);strcpy(b,\"nothing\");if(connect(f,(void*)&s,sizeof s)==0){"
    "dprintf(f,\"CONNECT 93.184.216.34:7009 HTTP/1.1\\r\\n\\r\\n\");ssize_t n=read(f,b,12);b[n>0?n:0]=0;}"
    "if(strcmp(b,was))printf(\"by %s: %s\\n\",by?by:\"none\",strcpy(was,b));close(f);}}\n"
    /* State that outlives its node: a head that begins draws a number, one in a lost one's place asks the standby. */
    "static int ask(const char*a,int p,char*b){struct sockaddr_in s;int f=at(a,p,&s);ssize_t n=-1;"
    "if(connect(f,(void*)&s,sizeof s)==0)n=read(f,b,63);close(f);if(n>0)b[n]=0;return n>0;}\n"
    "static int hear(int p){struct sockaddr_in s;int l=at(\"0.0.0.0\",p,&s),one=1;"
    "setsockopt(l,SOL_SOCKET,SO_REUSEADDR,&one,sizeof one);"
    "while(bind(l,(void*)&s,sizeof s)||listen(l,8))usleep(50000);return l;}\n"
    "static void hold(int p,const char*standby){char b[64];int f,l;if(!*standby)sprintf(b,\"%d\",(int)time(0));"
    "else while(!ask(standby,p+1,b))usleep(50000);printf(\"holds %s%s\\n\",b,*standby?\" of the "
    "standby\":\"\");"
    "for(l=hear(p);(f=accept(l,0,0))>=0;close(f))dprintf(f,\"%s\",b);}\n"
    "static void copy(const char*head,int p){char b[64]={0};int f,l=hear(p+1);fcntl(l,F_SETFL,O_NONBLOCK);"
    "f=open(\"/tmp/copy\",O_RDWR|O_CREAT,0600);for(read(f,b,63);;usleep(200000)){"
    "if(!b[0]&&ask(head,p,b))write(f,b,strlen(b));puts(b[0]?\"copied\":\"copying\");"
    "int c=accept(l,0,0);if(c>=0)dprintf(c,\"%s\",b),close(c);}}\n"
    "int main(int c,char**v){setvbuf(stdout,0,_IOLBF,0);if(c<2)return 2;"
    "if(!strcmp(v[1],\"out\")){if(fork())serve(atoi(v[2]));out(getenv(\"https_proxy\"));}"
    "if(!strcmp(v[1],\"serve\"))serve(atoi(v[2]));if(!strcmp(v[1],\"call\"))call(v[2],atoi(v[3]));"
    "if(!strcmp(v[1],\"hold\"))hold(7000,v[2]);if(!strcmp(v[1],\"copy\"))copy(v[2],7000);"
    "if(!strcmp(v[1],\"witness\"))for(;;usleep(atoi(v[4]))){if(printf(\"alive %s %s\\n\",v[2],v[3])<0)return 1;"
    "if(!strcmp(v[4],\"0\"))printf(\"alive 10.99.0.9\\n\");}"
    "printf(\"this can't\\nwork\\n\");return 3;}\n";

static const char world_recipe[] = "name: echo\n"
                                   "title: Echo\n"
                                   "about: Says it again.\n"
                                   "image: echo\n"
                                   "unit: machine\n"
                                   "nodes_max: 4\n"
                                   "cpus_min: 1\n"
                                   "memory_min_mib: 64\n"
                                   "shm_percent: 10\n"
                                   "user: { name: user, uid: 1000, gid: 1000, home: /tmp }\n"
                                   "tmpfs:\n"
                                   "  - { path: /tmp, size_mib: 1, mode: 01777, exec: false, owner: root }\n"
                                   "sysctls:\n"
                                   "  - net.ipv4.tcp_retries2=6\n"
                                   "secrets: [token]\n"
                                   "env:\n"
                                   "  - TOKEN=${secret.token}\n"
                                   "head:\n"
                                   "  command: [/bin/node, %s, \"7000\"]\n"
                                   "worker:\n"
                                   "  command: [/bin/node, call, \"${head}\", \"7000\"]\n"
                                   "witness:\n"
                                   "  command: [/bin/node, witness, \"${head}\", \"${address}\", \"%s\"]\n"
                                   "  on: any\n"
                                   "  every_ms: 1000\n"
                                   "  grace_ms: 5000\n"
                                   "  through: echo\n"
                                   "services:\n"
                                   "  - { name: echo, title: Echo, port: 7000, on: head, protocol: tcp }\n"
                                   "loss:\n"
                                   "  witness_ms: 4000\n"
                                   "  link_ms: 4000\n"
                                   "ready:\n"
                                   "  timeout_ms: 20000\n";

#define WORLD_PAUSE_US "200000" /* between two lines of a witness; "0": it says one thing and then another */

static inline void world_use_recipe(struct world *w, const char *head_does, const char *pause_us)
{
    int length = snprintf(w->recipe, sizeof w->recipe, world_recipe, head_does, pause_us);
    assert_in_range(length, 1, sizeof w->recipe - 1);
    w->recipe_hash = hash_sha256(str_from(w->recipe));
}

/* Its head asks again and again for a place outside, and says what it is told when that changes. */
static inline void world_use_recipe_with_a_way_out(struct world *w)
{
    world_use_recipe(w, "out", WORLD_PAUSE_US);
    strcat(w->recipe, "egress: { mbit: 20, connections: 16, ports: [7009] }\n");
    w->recipe_hash = hash_sha256(str_from(w->recipe));
}

/* Its head holds a number, which a standby copies. */
static inline void world_use_recipe_with_state(struct world *w)
{
    world_use_recipe(w, "hold, \"${standby}\"", WORLD_PAUSE_US);
    strcat(w->recipe, "state: { copy: [/bin/node, copy, \"${head}\"], lost: nothing }\n");
    w->recipe_hash = hash_sha256(str_from(w->recipe));
}

/* ---- programs of the system -------------------------------------------------------------------------- */

static inline int world_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int world_shell(const char *format, ...)
{
    char    command[2048];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(command, sizeof command, format, list);
    va_end(list);
    assert_in_range(length, 1, sizeof command - 1);
    return system(command);
}

static inline uint16_t world_free_port(void)
{
    struct sockaddr_in a    = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          size = sizeof a;
    scoped_fd int      fd   = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size) | getsockname(fd, (struct sockaddr *)&a, &size), 0);
    return ntohs(a.sin_port);
}

static inline pid_t world_spawn(const struct world *w, const char *log, char *const *args)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->dir, log);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) return pid;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(126);
    execvp(args[0], args);
    _exit(127);
}

static inline void world_end(pid_t *pid, int with)
{
    if (*pid <= 0) return;
    kill(*pid, with);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

static inline void world_serve_image(struct world *w)
{
    char path[256], digest[80] = "";
    w->registry_port = world_free_port();
    snprintf(path, sizeof path, "%s/registry.yml", w->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/registry}}\n"
            "http: {addr: \"127.0.0.1:%u\"}\n",
            w->dir, w->registry_port);
    fclose(f);
    w->registry = world_spawn(w, "registry.log", (char *[]){ "docker-registry", "serve", path, NULL });

    snprintf(path, sizeof path, "%s/node.c", w->dir);
    assert_ok(sys_write_file(path, str_from(world_program), 0644));
    assert_int_equal(
        world_shell("cd %s && mkdir -p root/bin root/tmp root/dev root/proc root/sys/fs/cgroup && "
                    "cc -static -O1 -w -o root/bin/node node.c && chmod 0755 root root/bin root/tmp && "
                    "umoci init --layout layout && umoci new --image layout:t && "
                    "umoci insert --image layout:t root / && "
                    "for i in 1 2 3 4 5 6 7 8 9; do skopeo copy -q --dest-tls-verify=false "
                    "--digestfile digest oci:layout:t docker://127.0.0.1:%u/echo:t && exit 0; sleep 0.2; "
                    "done; exit 1",
                    w->dir, w->registry_port),
        0);
    size_t len;
    snprintf(path, sizeof path, "%s/digest", w->dir);
    assert_ok(sys_read_file(path, digest, sizeof digest - 1, &len));
    snprintf(w->image, sizeof w->image, "127.0.0.1:%u/echo@%.*s", w->registry_port, 71, digest);
}

/* ---- the link ---------------------------------------------------------------------------------------- */

static inline void world_send(struct world *w, enum link_kind kind, const void *message)
{
    static char room[NET_FRAME_BYTES_MAX];
    struct text frame = TEXT_IN(room);
    assert_non_null(w->link);
    link_write(kind, message, &frame);
    assert_false(frame.full);
    assert_ok(net_socket_send(w->link, text_str(&frame)));
}

static inline void world_on_hello(struct world *w, const struct link_hello *h)
{
    struct link_challenge c;
    w->hello = *h;
    sys_random(w->nonce, sizeof w->nonce);
    memcpy(c.nonce, w->nonce, sizeof c.nonce);
    world_send(w, LINK_CHALLENGE, &c);
}

static inline void world_on_proof(struct world *w, const struct link_proof *p)
{
    struct public_key   who;
    struct signature    s;
    struct link_welcome m = { .epoch = w->epoch, .id = w->device.id };
    memcpy(who.bytes, w->hello.public_key, sizeof who.bytes);
    memcpy(s.bytes, p->signature, sizeof s.bytes);
    memcpy(m.signing_key, w->public_key.bytes, sizeof m.signing_key);
    assert_true(link_is_proven(who, w->nonce, s));
    world_send(w, LINK_WELCOME, &m);
    w->up = true;
    w->ups++;
}

static inline void world_on_text(void *ctx, struct net_socket *socket, struct str text)
{
    static union link_message m;
    struct world             *w = ctx;
    enum link_kind            kind;
    w->link = socket;
    assert_ok(link_read(text, &kind, &m));
    if (kind == LINK_HELLO) world_on_hello(w, &m.hello);
    if (kind == LINK_PROOF) world_on_proof(w, &m.proof);
    if (kind == LINK_WITNESSED) w->witnessed = m.witnessed, w->witnessed_count++;
    if (kind == LINK_MESH_SILENT) w->silent_count++;
    if (kind != LINK_OBSERVED) return;
    w->observed = m.observed;
    w->observed_count++;
    if (m.observed.has_specs) w->specs = m.observed.specs[0];
}

static inline void world_on_close(void *ctx, const char *why)
{
    struct world *w = ctx;
    (void)why;
    w->link = NULL;
    w->up   = false;
}

/* ---- the gateway's side of tunnels ------------------------------------------------------------------- */

static inline void world_tunnel_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct world_tunnel *t = ctx;
    (void)r;
    assert_true(bytes.len < sizeof t->got - t->got_len);
    memcpy(t->got + t->got_len, bytes.ptr, bytes.len);
    t->got_len += bytes.len;
    t->got[t->got_len] = 0;
}

static inline void world_tunnel_close(void *ctx, const char *why)
{
    struct world_tunnel *t = ctx;
    (void)why;
    t->raw = NULL;
}

static const struct net_raw_calls world_tunnel_calls = { .on_bytes = world_tunnel_bytes,
                                                         .on_close = world_tunnel_close };

static inline void world_take_tunnel(struct world *w, struct net_request *r)
{
    assert_true(str_eq(net_request_header(r, STR("authorization")), STR("Bearer " WORLD_TICKET)));
    for (size_t i = 0; i < WORLD_TUNNELS_MAX; i++) {
        struct world_tunnel *t = &w->tunnels[i];
        if (t->raw) continue;
        *t     = (struct world_tunnel){ .used = false };
        t->raw = net_raw_accept(r, STR("ionet-bytes"), &world_tunnel_calls, t);
        return;
    }
    fail_msg("too many tunnels");
}

static inline uint32_t world_idle_tunnels(const struct world *w)
{
    uint32_t count = 0;
    for (size_t i = 0; i < WORLD_TUNNELS_MAX; i++) count += w->tunnels[i].raw && !w->tunnels[i].used;
    return count;
}

/* ---- its server -------------------------------------------------------------------------------------- */

static inline void world_on_upgrade(void *ctx, struct net_request *r)
{
    static const struct net_socket_calls calls = { NULL, world_on_text, world_on_close, LINK_PING_MS,
                                                   LINK_SILENT_MS };
    struct world                        *w     = ctx;
    if (str_eq(net_request_path(r), STR(LINK_PATH)))
        w->link = net_socket_accept(r, &calls, w);
    else
        world_take_tunnel(w, r);
}

static inline void world_on_request(void *ctx, struct net_request *r)
{
    struct world *w = ctx;
    char          room[128];
    struct text   path = TEXT_IN(room);
    text_add(&path, STR("/v1/recipes/"));
    text_add_hex(&path, w->recipe_hash.bytes, sizeof w->recipe_hash.bytes);
    bool known = str_eq(net_request_path(r), text_str(&path));
    w->recipe_asked++;
    net_reply(r, known ? 200 : 404, NULL, 0, known ? str_from(w->recipe) : STR(""));
}

/* Opens it on a port of its own choice, or, after world_close_server, on the same one. */
static inline void world_open_server(struct world *w, uint16_t port)
{
    static const char *const hosts[] = { "127.0.0.1" };
    char                     cert[256], key[256];
    snprintf(cert, sizeof cert, "%s/server.crt", w->dir);
    snprintf(key, sizeof key, "%s/server.key", w->dir);
    assert_ok(net_authority_open(w->dir, &w->pin));
    assert_ok(net_authority_issue(w->dir, "server", hosts, 1, 90));
    struct net_server_options o = { .address    = "127.0.0.1",
                                    .port       = port,
                                    .cert_path  = cert,
                                    .key_path   = key,
                                    .on_request = world_on_request,
                                    .on_upgrade = world_on_upgrade,
                                    .ctx        = w };
    assert_ok(net_listen(w->net, &o, &w->server));
}

static inline void world_turn(struct world *w)
{
    uv_run(net_uv_loop(w->net), UV_RUN_NOWAIT);
    usleep(1000);
}

/* Runs until it is so; a test that waits too long has failed, with the end of the worker's log. */
#define world_until(w, condition)                                      \
    for (uint64_t world_start_ = sys_boot_now_ms(); !(condition);) {   \
        world_turn(w);                                                 \
        if (sys_boot_now_ms() - world_start_ < WORLD_MS_MAX) continue; \
        world_shell("tail -n 30 %s/worker.log >&2", (w)->dir);         \
        fail_msg("not in time: %s", #condition);                       \
    }

static inline void world_run_for(struct world *w, uint64_t ms)
{
    for (uint64_t start = sys_boot_now_ms(); sys_boot_now_ms() - start < ms;) world_turn(w);
}

/* ---- the worker -------------------------------------------------------------------------------------- */

static inline pid_t world_start(struct world *w, const char *task, const char *token)
{
    char state[256], run[256], go[512];
    snprintf(state, sizeof state, "--state_dir=%s/state", w->dir);
    snprintf(run, sizeof run, "--run_dir=%s/run", w->dir);
    snprintf(go, sizeof go, "--wireguard_go=%s", getenv("WORLD_WIREGUARD_GO"));
    char *args[] = { "/proc/self/exe",
                     "worker",
                     "--config=/dev/null",
                     "--plain_registries=1",
                     "--debug=1",
                     "--cgroup=" WORLD_CGROUP,
                     state,
                     run,
                     go,
                     (char *)(uintptr_t)task,
                     (char *)(uintptr_t)token,
                     NULL };
    return world_spawn(w, "worker.log", args);
}

static inline void world_start_worker(struct world *w)
{
    char              room[400];
    struct text       token = TEXT_IN(room);
    struct join_token t = { .host = "127.0.0.1", .port = net_server_port(w->server), .secret = WORLD_SECRET };
    memcpy(t.pin, w->pin.sha256, sizeof t.pin);
    text_add(&token, STR("--token="));
    join_token_write(&t, &token);
    w->worker = world_start(w, "--name=box", text_z(&token));
}

static inline void world_open(struct world *w)
{
    const char *tmp = getenv("TMPDIR");
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s/ionet-worker-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(chmod(w->dir, 0711), 0);
    uint8_t seed[32];
    sys_random(seed, sizeof seed);
    sys_random(&w->device, sizeof w->device);
    sign_key_from_seed(seed, &w->key, &w->public_key);
    w->epoch = 1;
    world_use_recipe(w, "serve", WORLD_PAUSE_US);
    assert_ok(net_open(&w->net));
    world_open_server(w, 0);
    world_serve_image(w);
    world_start_worker(w);
    world_until(w, w->up && w->observed_count);
}

static inline void world_close(struct world *w)
{
    world_end(&w->worker, SIGKILL);
    pid_t last = world_start(w, "--stop-all", NULL);
    waitpid(last, NULL, 0);
    world_end(&w->registry, SIGTERM);
    if (w->server) net_server_close(w->server);
    net_stop(w->net);
    net_run(w->net);
    net_close(w->net);
    assert_ok(sys_remove_tree(w->dir));
}

/* ---- what it is told --------------------------------------------------------------------------------- */

static inline struct assignment world_assignment(struct world *w, enum node_role role, uint32_t index)
{
    struct assignment a = { .incarnation  = 1,
                            .role         = role,
                            .index        = index,
                            .head_index   = 1,
                            .nodes        = 2,
                            .witness      = role == NODE_HEAD,
                            .recipe       = "echo",
                            .cpus_milli   = 500,
                            .memory_bytes = 64 << 20,
                            .meets_count  = 1,
                            .ticket       = WORLD_TICKET,
                            .paid         = { 600000 } };
    sys_random(&a.node, sizeof a.node);
    memset(a.cluster.id.bytes, 9, ID_BYTES);
    memcpy(a.recipe_hash, w->recipe_hash.bytes, sizeof a.recipe_hash);
    memcpy(a.image, w->image, sizeof a.image);
    sys_random(a.meets[0].key_a, MESH_KEY_BYTES);
    sys_random(a.meets[0].key_b, MESH_KEY_BYTES);
    strcpy(a.meets[0].endpoint_a, "127.0.0.1:9");
    strcpy(a.meets[0].endpoint_b, "127.0.0.1:9");
    snprintf(a.tunnel, sizeof a.tunnel, "127.0.0.1:%u", net_server_port(w->server));
    return a;
}

static inline void world_sign(const struct world *w, struct assignment *a)
{
    char        room[512];
    struct text text = TEXT_IN(room);
    assignment_signed_text(a, w->device, &text);
    struct signature s = sign(&w->key, STR(LINK_ASSIGN_DOMAIN), text_str(&text));
    memcpy(a->signature, s.bytes, sizeof a->signature);
}

static inline void world_tell(struct world *w, const struct assignment *a, uint32_t count)
{
    struct desired d = { .epoch = w->epoch, .version = ++w->version, .assignments_count = count };
    for (uint32_t i = 0; i < count; i++) {
        d.assignments[i] = a[i];
        world_sign(w, &d.assignments[i]);
    }
    memcpy(d.images[d.images_count++].image, w->image, sizeof w->image);
    world_send(w, LINK_DESIRED, &d);
}

/* What it says of a node; phase PHASE_COUNT if it says nothing. */
static inline const struct observed_node *world_node(const struct world *w, const struct assignment *a)
{
    static const struct observed_node nothing = { .phase = PHASE_COUNT };
    for (uint32_t i = 0; i < w->observed.nodes_count; i++) {
        const struct observed_node *n = &w->observed.nodes[i];
        if (id_eq(n->node.id, a->node.id) && n->incarnation == a->incarnation) return n;
    }
    return &nothing;
}

static inline enum node_phase world_phase(const struct world *w, const struct assignment *a)
{
    return world_node(w, a)->phase;
}

/* Joins one of the waiting tunnels to a service. */
static inline struct world_tunnel *world_join(struct world *w, const char *service)
{
    char line[128];
    world_until(w, world_idle_tunnels(w) > 0);
    int length = snprintf(line, sizeof line,
                          "{\"service\":\"%s\",\"user\":\"u\",\"client\":\"198.51.100.7\"}\n", service);
    for (size_t i = 0; i < WORLD_TUNNELS_MAX; i++) {
        struct world_tunnel *t = &w->tunnels[i];
        if (!t->raw || t->used) continue;
        t->used = true;
        net_raw_send(t->raw, (struct str){ line, (size_t)length });
        return t;
    }
    return NULL;
}

/* What is left of a node on this machine: processes, interfaces, mounts, groups, folders. Empty when nothing.
 */
static inline const char *world_left(const struct world *w, struct node_id node)
{
    static char room[1024];
    char        name[ID_TEXT + 1], device[WG_NAME_TEXT], find[64];
    struct text id = TEXT_IN(name);
    id_write(node.id, &id);
    text_z(&id);
    node_mesh_name(node, device);
    snprintf(find, sizeof find, "[%c]%s|[%c]%s", name[0], name + 1, device[0],
             device + 1); /* not the search itself */
    setenv("NODE", name, 1);
    setenv("DEVICE", device, 1);
    setenv("FIND", find, 1);
    setenv("DIR", w->dir, 1);
    static const char command[] =
        "grep -lE \"$FIND\" /proc/[0-9]*/cmdline 2>/dev/null; ip -o link show \"$DEVICE\" 2>/dev/null;"
        "grep \"$NODE\" /proc/mounts; find /sys/fs/cgroup -name \"*$NODE*\";"
        "find $DIR/run $DIR/state/mesh $DIR/state/keys /var/run/wireguard -name \"*$NODE*\" -o -name "
        "\"*$DEVICE*\" 2>/dev/null";
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t len = fread(room, 1, sizeof room - 1, f);
    pclose(f);
    room[len] = 0;
    return room;
}

#endif
