#include "with_rig_int.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A node's way out, tried from inside a container. The test is in a network namespace of its own, which is the supplier's
 * machine; behind its router there is a world, another namespace, that answers at every address there is and writes
 * down at which it was met. So does the machine itself. Names are the world's as well. */

#define MACHINE "192.168.7.2"
#define PUBLIC "93.184.216.34"
#define PUBLIC_V6 "2606:2800:220:1::1"

struct world {
    struct rig rig;
    char       hits[300], asked[300];
    pid_t      out, home;
};

/* argv: file of hits, "world" or "machine", file of names that were asked for. */
static const char servers[] =
    "import socket, sys, threading\n"
    "hits = open(sys.argv[1], 'a', buffering=1)\n"
    "def serve(c):\n"
    "  with c:\n"
    "    at = c.getsockname(); me = at[0].removeprefix('::ffff:')\n"
    "    hits.write(me + ' ' + str(at[1]) + '\\n')\n"
    "    head = b''\n"
    "    while b'\\r\\n\\r\\n' not in head:\n"
    "      part = c.recv(4096)\n"
    "      if not part: return\n"
    "      head += part\n"
    "    path = head.split()[1].decode()\n"
    "    if path.startswith('/to/'):\n"
    "      c.sendall(('HTTP/1.1 302 Found\\r\\nlocation: ' + path[4:] + '\\r\\ncontent-length: "
    "0\\r\\n\\r\\n').encode())\n"
    "      return\n"
    "    n = int(path[5:]) if path.startswith('/big/') else 0\n"
    "    body = b'x' * n if n else b'hello from ' + me.encode()\n"
    "    c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: ' + str(len(body)).encode() + b'\\r\\n\\r\\n' + "
    "body)\n"
    "def listen(port):\n"
    "  s = socket.socket(socket.AF_INET6); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)\n"
    "  s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
    "  s.bind(('::', port)); s.listen(64)\n"
    "  while True: threading.Thread(target=serve, args=(s.accept()[0],)).start()\n"
    "for port in (22, 25, 80, 443, 8080): threading.Thread(target=listen, args=(port,)).start()\n"
    "if sys.argv[2] != 'world': sys.exit()\n"
    "A, AAAA = 1, 28\n"
    "names = {'public': {A: ['" PUBLIC "']}, 'six': {AAAA: ['" PUBLIC_V6 "']}, 'home': {A: ['192.168.7.9']},\n"
    "  'mixed': {A: ['10.0.0.5', '" PUBLIC
    "']}, 'ula': {AAAA: ['fd00::1']}, 'mapped': {AAAA: ['::ffff:10.0.0.5']},\n"
    "  'nat64': {AAAA: ['64:ff9b::c0a8:709']}, 'self': {A: ['" MACHINE "', '127.0.0.1', '52.94.7.2']},\n"
    "  'meta': {A: ['169.254.169.254']}}\n"
    "asked, times = open(sys.argv[3], 'a', buffering=1), 0\n"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('192.168.7.1', 53))\n"
    "while True:\n"
    "  q, who = s.recvfrom(512)\n"
    "  labels, i = [], 12\n"
    "  while q[i]: labels.append(q[i+1:i+1+q[i]].decode()); i += q[i] + 1\n"
    "  kind, question = q[i+2], q[12:i+5]\n"
    "  asked.write('.'.join(labels) + '\\n')\n"
    "  found = names.get(labels[0], {}).get(kind, [])\n"
    "  if labels[0] == 'turns' and kind == A: times += 1; found = ['" PUBLIC
    "' if times == 1 else '10.0.0.5']\n"
    "  known = labels[0] in names or labels[0] == 'turns'\n"
    "  a = b''.join(b'\\xc0\\x0c' + bytes([0, kind, 0, 1, 0, 0, 0, 0]) + len(r).to_bytes(2, 'big') + r for r "
    "in\n"
    "    (socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, f) for f in found))\n"
    "  s.sendto(q[:2] + (b'\\x81\\x80' if known else b'\\x81\\x83') + b'\\0\\1' + len(found).to_bytes(2, "
    "'big') +\n"
    "    b'\\0\\0\\0\\0' + question + a, who)\n";

/* What the scripts inside begin with: status(host, port) of CONNECT, tell(host) over it, get(url) by who follows. */
static const char client[] =
    "exec python3 -u -c '\n"
    "import socket, urllib.request, urllib.error, time, errno\n"
    "def connect(place):\n"
    "  s = socket.create_connection((\"127.0.0.1\", 3128), 20)\n"
    "  s.sendall((\"CONNECT \" + place + \" HTTP/1.1\\r\\n\\r\\n\").encode())\n"
    "  head = b\"\"\n"
    "  while b\"\\r\\n\\r\\n\" not in head:\n"
    "    part = s.recv(1)\n"
    "    if not part: break\n"
    "    head += part\n"
    "  return s, head.split()[1].decode() if head else \"none\"\n"
    "def status(place): return connect(place)[1]\n"
    "def tell(place):\n"
    "  s, code = connect(place)\n"
    "  if code != \"200\": return code\n"
    "  s.sendall(b\"GET / HTTP/1.1\\r\\n\\r\\n\")\n"
    "  return s.makefile(\"rb\").read().split(b\"\\r\\n\\r\\n\")[1].decode()\n"
    "opener = urllib.request.build_opener(urllib.request.ProxyHandler({\"http\": \"http://127.0.0.1:3128\"}))\n"
    "def get(url):\n"
    "  try: return opener.open(url, timeout=20).read()\n"
    "  except urllib.error.HTTPError as e: return e.code\n";

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char    command[4096];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(command, sizeof command, format, values);
    va_end(values);
    assert_true(len > 0 && (size_t)len < sizeof command);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

static pid_t start_servers(const struct world *w, const char *where, int go)
{
    pid_t pid = fork();
    if (pid) return pid;
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (go >= 0 && (unshare(CLONE_NEWNET) < 0 || read(go, &byte, 1) != 1)) _exit(1);
    execl("/usr/bin/python3", "python3", "-c", servers, w->hits, where, w->asked, (char *)NULL);
    _exit(1);
}

static void read_text(const char *path, char text[65536])
{
    size_t len = 0;
    (void)sys_read_file(path, text, 65535, &len).code;
    text[len] = 0;
}

static void make_machine(void)
{
    assert_int_equal(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* Whatever a machine may be asked from its own network: the servers are there, and count. */
static void prove_that_hits_are_counted(struct world *w)
{
    static const char *const at[] = { MACHINE, "192.168.7.9", "10.0.0.5",  "169.254.169.254",   "52.94.7.9",
                                      PUBLIC,  "[fd00::1]",   "127.0.0.1", "[2a02:1234:7:9::9]" };
    char                     text[65536];
    for (size_t i = 0; i < countof(at); i++)
        shell("for i in $(seq 100); do curl -s -m 5 --noproxy '*' -o /dev/null http://%s/ && exit 0; sleep "
              "0.1; done; "
              "exit 1",
              at[i]);
    read_text(w->hits, text);
    for (size_t i = 0; i < countof(at); i++) {
        char line[64];
        snprintf(line, sizeof line, "%.*s 80\n", (int)strcspn(at[i] + (at[i][0] == '['), "]"),
                 at[i] + (at[i][0] == '['));
        assert_has(text, line);
    }
    shell(": > %s", w->hits);
}

static int open_world(void **state)
{
    static struct world w;
    int                 go[2];
    make_machine();
    rig_open(&w.rig);
    snprintf(w.hits, sizeof w.hits, "%s/hits", w.rig.dir);
    snprintf(w.asked, sizeof w.asked, "%s/asked", w.rig.dir);
    assert_int_equal(pipe(go), 0);
    w.out = start_servers(&w, "world", go[0]);
    usleep(200000); /* its namespace */
    shell("echo nameserver 192.168.7.1 > %s/resolv && mount --bind %s/resolv $(realpath /etc/resolv.conf) &&"
          "echo hosts: files dns > %s/switch && mount --bind %s/switch /etc/nsswitch.conf && ip link set lo up",
          w.rig.dir, w.rig.dir, w.rig.dir, w.rig.dir);
    shell("ip link add home type veth peer name out netns %d && ip link set home up &&"
          "ip address add " MACHINE "/24 dev home && ip address add 52.94.7.2/24 dev home &&"
          "ip address add 2a02:1234:7:1::2/64 dev home nodad",
          (int)w.out);
    shell("nsenter -t %d -n sh -c 'ip link set lo up && ip link set out up && ip address add 192.168.7.1/24 "
          "dev out &&"
          "ip address add 2a02:1234:7:1::1/64 dev out nodad && ip route add 52.94.7.2/32 dev out &&"
          "ip route add local 0.0.0.0/0 dev lo table main && ip route add 192.168.7.2/32 dev out &&"
          "ip address add 192.168.7.9/32 dev lo && ip -6 route add local ::/0 dev lo table main'",
          (int)w.out);
    shell("ip route add default via 192.168.7.1 && ip -6 route add default via 2a02:1234:7:1::1");
    assert_int_equal(write(go[1], "", 1), 1);
    w.home = start_servers(&w, "machine", -1);
    prove_that_hits_are_counted(&w);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    kill(w->out, SIGKILL);
    kill(w->home, SIGKILL);
    waitpid(w->out, NULL, 0);
    waitpid(w->home, NULL, 0);
    shell("umount /etc/nsswitch.conf $(realpath /etc/resolv.conf)");
    rig_close(&w->rig);
    return 0;
}

static const struct egress_rules usual = {
    .mbit = 100, .connections = 32, .ports = { 80, 443 }, .ports_count = 2
};

static struct node_id let_out(struct world *w, const struct egress_rules *rules)
{
    struct node_id    node = rig_node(&w->rig);
    struct rig_answer out  = { 0 };
    assert_ok(netns_let_out(w->rig.r, node, rules, rig_on_err, &out));
    rig_until(&w->rig, &out.done);
    assert_ok(out.e);
    return node;
}

static void run_inside(struct world *w, struct node_id node, const char *script,
                       char log[CONTAINER_LOG_END_BYTES])
{
    struct rig_run run;
    static char    whole[16384];
    snprintf(whole, sizeof whole, "%s%s'", client, script);
    rig_run_script(&w->rig, node, whole, &run, log);
    if (!run.end.known || run.end.code || run.end.signal) fail_msg("%s\n%s", run.end.why, log);
}

static void ask(struct world *w, const char *script, char log[CONTAINER_LOG_END_BYTES])
{
    struct node_id node = let_out(w, &usual);
    run_inside(w, node, script, log);
    rig_clean(&w->rig, node);
}

/* Every server that was met is one of the public ones. */
static void assert_only_public_was_met(struct world *w, unsigned least)
{
    char     text[65536];
    unsigned lines = 0;
    read_text(w->hits, text);
    for (const char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
        if (strncmp(line, PUBLIC " ", strlen(PUBLIC) + 1) != 0 &&
            strncmp(line, PUBLIC_V6 " ", strlen(PUBLIC_V6) + 1) != 0)
            fail_msg("%s was met", line);
    if (lines < least) fail_msg("only %u servers were met", lines);
    shell(": > %s", w->hits);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void without_a_way_out_there_is_none(void **state)
{
    struct world  *w    = *state;
    struct node_id node = rig_node(&w->rig);
    char           log[CONTAINER_LOG_END_BYTES];
    run_inside(
        w, node,
        "def tried(*place):\n"
        "  try: return socket.create_connection(place, 5) and 0\n"
        "  except OSError as e: return errno.errorcode[e.errno]\n"
        "print(tried(\"127.0.0.1\", 3128), tried(\"" PUBLIC "\", 80), tried(\"" MACHINE "\", 80), "
        "tried(\"192.168.7.9\", 80), tried(\"169.254.169.254\", 80), tried(\"" PUBLIC_V6 "\", 80))\n"
        "print({tried(\"192.168.%d.%d\" % (net, host), port) for net in (0, 1, 7) for host in range(1, 255) "
        "for port "
        "in (22, 53, 80, 443)}, {tried(a, 80) for a in (\"10.0.0.1\", \"172.17.0.1\", \"100.100.100.200\", "
        "\"52.94.7.2\", \"fd00:ec2::254\", \"ff02::1%lo\")})\n",
        log);
    rig_clean(&w->rig, node);
    assert_string_equal(log, "ECONNREFUSED ENETUNREACH ENETUNREACH ENETUNREACH ENETUNREACH ENETUNREACH\n"
                             "{'ENETUNREACH'} {'ENETUNREACH'}\n");
    assert_only_public_was_met(w, 0);
}

static void what_is_public_is_reached_by_name_by_address_and_by_either_protocol(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "print(tell(\"public.example.com:443\"), tell(\"" PUBLIC ":443\"), tell(\"six.example.com:443\"), "
        "tell(\"[" PUBLIC_V6 "]:443\"))\n"
        "print(get(\"http://public.example.com/\"), get(\"http://[" PUBLIC_V6 "]/\"), "
        "get(\"http://public.example.com/to/http://six.example.com/\"))\n",
        log);
    assert_string_equal(log, "hello from " PUBLIC " hello from " PUBLIC " hello from " PUBLIC_V6
                             " hello from " PUBLIC_V6 "\nb'hello from " PUBLIC "' b'hello from " PUBLIC_V6
                             "' b'hello from " PUBLIC_V6 "'\n");
    assert_only_public_was_met(w, 8);
}

static void no_private_address_is_reached_however_it_is_written(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "places = \"\"\"127.0.0.1 127.1 0 0.0.0.0 2130706433 0x7f000001 017700000001 0x7f.1 192.168.7.9 "
        "3232237321 "
        "192.168.1801 10.0.0.5 172.16.0.1 100.64.0.1 169.254.169.254 2852039166 0xa9fea9fe 198.18.0.1 "
        "192.0.2.1 "
        "224.0.0.251 255.255.255.255 240.0.0.1 [::1] [::] [::ffff:10.0.0.5] [::ffff:a9fe:a9fe] [::10.0.0.5] "
        "[64:ff9b::c0a8:709] [64:ff9b:1::1] [2002:c0a8:709::1] [2001:0:53aa:64c::1] [fe80::1] [fec0::1] "
        "[fd00::1] "
        "[fd00:ec2::254] [ff02::1] [2001:db8::1] [100::1]\"\"\".split()\n"
        "print({status(p + \":80\") for p in places[::2]}, {get(\"http://\" + p + \"/\") for p in "
        "places[1::2]})\n",
        log);
    assert_string_equal(log, "{'502'} {502}\n");
    assert_only_public_was_met(w, 0);
}

static void the_machine_its_links_and_its_site_are_not_reached_though_their_addresses_are_public(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "print([status(p + \":80\") for p in (\"52.94.7.2\", \"52.94.7.9\", \"" MACHINE
        "\", \"[2a02:1234:7:1::2]\", "
        "\"[2a02:1234:7:1::1]\", \"[2a02:1234:7:9::9]\")])\n",
        log);
    assert_string_equal(log, "['502', '502', '502', '502', '502', '502']\n");
    assert_only_public_was_met(w, 0);
}

static void what_else_the_supplier_names_is_not_reached(void **state)
{
    struct world       *w     = *state;
    struct egress_rules rules = usual;
    char                log[CONTAINER_LOG_END_BYTES];
    assert_ok(egress_deny(&rules, STR("93.184.0.0/16, 2606:2800::/32")));
    struct node_id node = let_out(w, &rules);
    run_inside(w, node, "print(status(\"public.example.com:80\"), status(\"[" PUBLIC_V6 "]:80\"))\n", log);
    rig_clean(&w->rig, node);
    assert_string_equal(log, "502 502\n");
    assert_only_public_was_met(w, 0);
}

static void a_name_of_a_private_address_leads_nowhere_also_when_it_was_public_a_moment_ago(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "print([status(n + \".example.com:80\") for n in (\"home\", \"ula\", \"mapped\", \"nat64\", \"self\", "
        "\"meta\")])\n"
        "print(tell(\"mixed.example.com:80\"))\n"
        "print(tell(\"turns.example.com:80\"), status(\"turns.example.com:80\"), "
        "get(\"http://turns.example.com/\"))\n",
        log);
    assert_string_equal(log, "['502', '502', '502', '502', '502', '502']\nhello from " PUBLIC
                             "\nhello from " PUBLIC " 502 502\n");
    assert_only_public_was_met(w, 2);
}

static void a_redirect_leads_to_no_private_address(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "print({get(\"http://public.example.com/to/http://\" + p + \"/\") for p in (\"127.0.0.1\", "
        "\"2130706433\", "
        "\"192.168.7.9\", \"[::ffff:10.0.0.5]\", \"[fd00::1]\", \"169.254.169.254/latest\", "
        "\"home.example.com\", "
        "\"52.94.7.9\")})\n",
        log);
    assert_string_equal(log, "{502}\n");
    assert_only_public_was_met(w, 8);
}

static void names_of_the_home_are_not_even_asked_for(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES], text[65536];
    ask(w,
        "print([status(n + \":80\") for n in (\"printer\", \"nas.local\", \"router.lan\", \"localhost\", "
        "\"unknown.example.com\")])\n",
        log);
    assert_string_equal(log, "['502', '502', '502', '502', '502']\n");
    read_text(w->asked, text);
    assert_has(text, "unknown.example.com\n");
    static const char *const local[] = { "printer", "nas", "router", "localhost" };
    for (size_t i = 0; i < countof(local); i++) assert_lacks(text, local[i]);
    assert_only_public_was_met(w, 0);
}

static void ports_that_are_not_declared_are_refused(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w, "print([status(\"" PUBLIC ":\" + p) for p in (\"22\", \"25\", \"8080\", \"443\")])\n", log);
    assert_string_equal(log, "['403', '403', '403', '200']\n");
    assert_only_public_was_met(w, 1);
}

static void what_is_no_request_is_refused_and_harms_nobody(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "def say(text):\n"
        "  s = socket.create_connection((\"127.0.0.1\", 3128), 20); s.sendall(text)\n"
        "  return s.makefile(\"rb\").readline()[9:12].decode()\n"
        "print([say(t) for t in (b\"\\x05\\x01\\x00\\r\\n\\r\\n\", b\"GET / HTTP/1.1\\r\\n\\r\\n\", b\"A\" * "
        "8192, "
        "b\"CONNECT [::1:80 HTTP/1.1\\r\\n\\r\\n\", b\"CONNECT a b:80 HTTP/1.1\\r\\n\\r\\n\", b\"CONNECT :80 "
        "HTTP/1.1\\r\\n\\r\\n\", "
        "b\"CONNECT " PUBLIC " HTTP/1.1\\r\\n\\r\\n\", b\"\\r\\n\\r\\n\")])\n"
        "print(tell(\"" PUBLIC ":80\"))\n",
        log);
    assert_string_equal(log,
                        "['400', '400', '400', '400', '400', '400', '400', '400']\nhello from " PUBLIC "\n");
    assert_only_public_was_met(w, 1);
}

static void its_rate_is_kept_whatever_the_number_of_connections(void **state)
{
    struct world       *w     = *state;
    struct egress_rules rules = usual;
    char                log[CONTAINER_LOG_END_BYTES];
    unsigned            bytes, ms;
    rules.mbit          = 8;
    struct node_id node = let_out(w, &rules);
    run_inside(w, node,
               "import threading\n"
               "got = []\n"
               "def load(): got.append(len(get(\"http://" PUBLIC "/big/500000\")))\n"
               "all = [threading.Thread(target=load) for i in range(4)]\n"
               "start = time.monotonic()\n"
               "for t in all: t.start()\n"
               "for t in all: t.join()\n"
               "print(sum(got), int((time.monotonic() - start) * 1000))\n",
               log);
    rig_clean(&w->rig, node);
    assert_int_equal(sscanf(log, "%u %u", &bytes, &ms), 2);
    assert_int_equal(bytes, 2000000);
    assert_in_range(ms, 1800, 20000); /* 2 MB at 1 MB/s, less what may pass at once; a busy machine is slower */
    assert_only_public_was_met(w, 4);
}

static void so_many_connections_at_once_and_the_next_waits(void **state)
{
    struct world       *w     = *state;
    struct egress_rules rules = usual;
    char                log[CONTAINER_LOG_END_BYTES];
    rules.connections   = 3;
    struct node_id node = let_out(w, &rules);
    run_inside(w, node,
               "held = [connect(\"" PUBLIC ":80\")[0] for i in range(3)]\n"
               "s = socket.create_connection((\"127.0.0.1\", 3128), 20)\n"
               "s.sendall(b\"CONNECT " PUBLIC ":80 HTTP/1.1\\r\\n\\r\\n\"); s.settimeout(1)\n"
               "try: print(s.recv(12))\n"
               "except TimeoutError: print(\"waits\")\n"
               "s.settimeout(20); held.pop().close(); print(s.recv(12))\n",
               log);
    rig_clean(&w->rig, node);
    assert_string_equal(log, "waits\nb'HTTP/1.1 200'\n");
    assert_only_public_was_met(w, 4);
}

static void so_many_are_begun_in_a_second(void **state)
{
    struct world *w = *state;
    char          log[CONTAINER_LOG_END_BYTES];
    ask(w,
        "codes = [status(\"" PUBLIC
        ":80\") for i in range(150)]\nprint(codes.count(\"200\"), codes.count(\"429\"))\n",
        log);
    unsigned good, late;
    assert_int_equal(sscanf(log, "%u %u", &good, &late), 2);
    assert_int_equal(good + late, 150);
    assert_in_range(good, 64, 149);
    assert_only_public_was_met(w, 64);
}

static void who_lets_it_out_has_no_rights_and_comes_again(void **state)
{
    struct world  *w    = *state;
    struct node_id node = let_out(w, &usual);
    char           log[CONTAINER_LOG_END_BYTES], text[65536], path[64], netns[RUNTIME_PATH_TEXT];
    netns_path(w->rig.r, node, netns);
    pid_t pid = rig_find_process(netns);
    assert_true(pid > 1);
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    read_text(path, text);
    assert_has(text, "Uid:\t1880096"); /* beyond those of all containers */
    assert_has(text, "CapEff:\t0000000000000000");
    assert_has(text, "CapPrm:\t0000000000000000");
    assert_has(text, "NoNewPrivs:\t1");
    assert_has(text, "Seccomp:\t2");
    assert_int_equal(kill(pid, SIGKILL), 0);
    pid_t    next  = 0;
    uint64_t start = sys_boot_now_ms();
    while (!next || next == pid) {
        rig_turn(&w->rig);
        next = rig_find_process(netns);
        if (sys_boot_now_ms() - start > RIG_MS_MAX) fail_msg("it does not come again");
    }
    run_inside(w, node,
               "for i in range(100):\n"
               "  try: print(tell(\"" PUBLIC ":80\")); break\n"
               "  except OSError: time.sleep(0.1)\n",
               log);
    assert_string_equal(log, "hello from " PUBLIC "\n");
    rig_clean(&w->rig, node);
    start = sys_boot_now_ms();
    while (rig_find_process(netns)) {
        rig_turn(&w->rig);
        if (sys_boot_now_ms() - start > RIG_MS_MAX) fail_msg("it stays when its node is gone");
    }
    assert_only_public_was_met(w, 1);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_way_out_there_is_none),
        cmocka_unit_test(what_is_public_is_reached_by_name_by_address_and_by_either_protocol),
        cmocka_unit_test(no_private_address_is_reached_however_it_is_written),
        cmocka_unit_test(the_machine_its_links_and_its_site_are_not_reached_though_their_addresses_are_public),
        cmocka_unit_test(what_else_the_supplier_names_is_not_reached),
        cmocka_unit_test(a_name_of_a_private_address_leads_nowhere_also_when_it_was_public_a_moment_ago),
        cmocka_unit_test(a_redirect_leads_to_no_private_address),
        cmocka_unit_test(names_of_the_home_are_not_even_asked_for),
        cmocka_unit_test(ports_that_are_not_declared_are_refused),
        cmocka_unit_test(what_is_no_request_is_refused_and_harms_nobody),
        cmocka_unit_test(its_rate_is_kept_whatever_the_number_of_connections),
        cmocka_unit_test(so_many_connections_at_once_and_the_next_waits),
        cmocka_unit_test(so_many_are_begun_in_a_second),
        cmocka_unit_test(who_lets_it_out_has_no_rights_and_comes_again),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
