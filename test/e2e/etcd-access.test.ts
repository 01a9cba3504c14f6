// Who may use a real etcd, and how much of it: logins and tokens that end, rights, certificates that are renewed, a quota
// that is full. Each refusal says what a person has to do.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { EtcdKeyValueStore } from "../../src/kv/etcd.ts";
import type { Txn } from "../../src/kv/key-value-store.ts";
import { etcdCredentials, readEtcdSettings } from "../../src/main/etcd-settings.ts";
import { CertificateAuthority } from "./certificates.ts";
import { EtcdServer, type EtcdServerOptions } from "./etcd-server.ts";
import { runProgram } from "./program.ts";
import { describeWithTools, toolCommand } from "./tools.ts";

const signal = new AbortController().signal;
const prefix = "/kafscale/test/";

function put(key: string, bytes = 1): Txn {
  return { compare: [], then: [{ type: "put", key, value: new Uint8Array(bytes) }] };
}

async function startServer(options: EtcdServerOptions = {}): Promise<EtcdServer> {
  const server = await EtcdServer.start(options);
  onTestFinished(() => server.stop());
  return server;
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "kafscale-etcd-access-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store as the variables of a broker's environment open it. */
function openStore(server: EtcdServer, environment: Readonly<Record<string, string>> = {}) {
  const settings = readEtcdSettings({ KAFSCALE_ETCD_ENDPOINTS: server.endpoint, ...environment });
  if (!settings) throw new Error("no settings");
  const loadCredentials = etcdCredentials(settings);
  const warnings: string[] = [];
  const infos: string[] = [];
  const log = {
    ...silentLog,
    warn: (message: string) => void warnings.push(message),
    info: (message: string) => void infos.push(message),
  };
  const store = new EtcdKeyValueStore({
    endpoints: settings.endpoints,
    clock: new SystemClock(),
    random: new SystemRandom(),
    log,
    ...(loadCredentials && { loadCredentials }),
  });
  onTestFinished(() => store.close());
  return { store, warnings, infos };
}

/** Turns authentication on: `root` for the test, `broker` with rights on the prefix, `stranger` without. */
async function enableLogins(server: EtcdServer): Promise<void> {
  for (const name of ["root", "broker", "stranger"]) await server.control("user", "add", `${name}:secret-of-${name}`);
  await server.control("user", "grant-role", "root", "root");
  await server.control("role", "add", "broker");
  await server.control("role", "grant-permission", "broker", "--prefix=true", "readwrite", prefix);
  await server.control("user", "grant-role", "broker", "broker");
  await server.control("auth", "enable");
}

function loginOf(name: string): Readonly<Record<string, string>> {
  return { KAFSCALE_ETCD_USERNAME: name, KAFSCALE_ETCD_PASSWORD: `secret-of-${name}` };
}

describeWithTools("access to etcd", ["etcd"], () => {
  describe("logins", () => {
    it("does everything with a login that has readwrite on the prefix, and nothing beside it", async () => {
      const server = await startServer();
      await enableLogins(server);
      const { store } = openStore(server, loginOf("broker"));
      await store.probe(prefix, { signal });
      const lease = await store.grantLease(10_000, { signal });
      const { revision } = await store.txn(
        { compare: [], then: [{ type: "put", key: `${prefix}a`, value: new Uint8Array(1), lease }] },
        { signal },
      );
      await store.keepAlive(lease, { signal });
      const watch = store.watch(prefix, { signal, fromRevision: revision });
      expect((await watch.next()).value).toMatchObject({ revision });
      await watch.return?.();
      await store.revokeLease(lease, { signal });
      expect((await store.range(prefix, { signal })).entries).toEqual([]);
      const beside = { kind: "denied", message: expect.stringContaining("grant-permission") as unknown };
      await expect(store.get("/other", { signal })).rejects.toMatchObject(beside);
      await expect(store.txn(put("/other"), { signal })).rejects.toMatchObject(beside);
      await expect(store.watch("/other", { signal, fromRevision: 1 }).next()).rejects.toMatchObject(beside);
    });

    it("says what is missing: rights, the right password, any login at all", async () => {
      const server = await startServer();
      await enableLogins(server);
      const refusalOf = (environment: Readonly<Record<string, string>>) =>
        openStore(server, environment)
          .store.probe(prefix, { signal })
          .catch((error: unknown) => error);
      expect(await refusalOf(loginOf("stranger"))).toMatchObject({
        kind: "denied",
        message: expect.stringContaining("grant-permission") as unknown,
      });
      const wrong = { ...loginOf("broker"), KAFSCALE_ETCD_PASSWORD: "wrong" };
      expect(await refusalOf(wrong)).toMatchObject({
        kind: "denied",
        message: expect.stringContaining("KAFSCALE_ETCD_PASSWORD") as unknown,
      });
      expect(await refusalOf({})).toMatchObject({
        kind: "denied",
        message: expect.stringContaining("set KAFSCALE_ETCD_USERNAME") as unknown,
      });
    });

    it("renews a token that has ended, without one failed call", async () => {
      const keys = makeFolder();
      const [key, publicKey] = [join(keys, "jwt.pem"), join(keys, "jwt.pub")];
      await runProgram("openssl", ["genrsa", "-out", key, "2048"]);
      await runProgram("openssl", ["rsa", "-in", key, "-pubout", "-out", publicKey]);
      const jwt = `jwt,pub-key=${publicKey},priv-key=${key},sign-method=RS256,ttl=1s`;
      const server = await startServer({ flags: [`--auth-token=${jwt}`] });
      await enableLogins(server);
      const { store, warnings } = openStore(server, loginOf("broker"));
      const lease = await store.grantLease(60_000, { signal });
      const end = performance.now() + 4000;
      let calls = 0;
      for (; performance.now() < end; calls++) {
        await Promise.all([store.txn(put(`${prefix}a`), { signal }), store.keepAlive(lease, { signal })]);
        await sleep(20);
      }
      expect(calls).toBeGreaterThan(20);
      const { revision } = await store.get(`${prefix}a`, { signal });
      await sleep(2000);
      const watch = store.watch(prefix, { signal, fromRevision: revision });
      expect((await watch.next()).value).toMatchObject({ revision });
      await watch.return?.();
      expect(warnings).toEqual([]);
    });

    it("takes a password that was changed in its file", async () => {
      const server = await startServer();
      await enableLogins(server);
      const file = join(makeFolder(), "password");
      writeFileSync(file, "secret-of-broker\n");
      const { store } = openStore(server, { KAFSCALE_ETCD_USERNAME: "broker", KAFSCALE_ETCD_PASSWORD_FILE: file });
      await store.get(`${prefix}a`, { signal });
      const login = ["--user=root:secret-of-root", `--endpoints=${server.endpoint}`];
      await runProgram(toolCommand("etcdctl"), [...login, "user", "passwd", "broker", "--interactive=false"], {
        input: "changed\n",
      });
      await expect(store.get(`${prefix}a`, { signal })).rejects.toMatchObject({ kind: "denied" });
      writeFileSync(file, "changed\n");
      expect((await store.get(`${prefix}a`, { signal })).entry).toBeUndefined();
    });

    it("works with a login where etcd's authentication is still off, and goes on when it is turned on", async () => {
      const server = await startServer();
      const { store, warnings } = openStore(server, loginOf("broker"));
      await store.txn(put(`${prefix}a`), { signal });
      expect(warnings).toEqual(["etcd has its authentication off and takes every login"]);
      await enableLogins(server);
      await store.txn(put(`${prefix}b`), { signal });
      expect((await store.range(prefix, { signal })).entries).toHaveLength(2);
    });
  });

  describe("certificates", () => {
    it("speaks TLS both ways, takes renewed files while in use, and says whose certificate is wrong", async () => {
      const folder = makeFolder();
      const authority = await CertificateAuthority.create(folder);
      const tls = { ca: authority.certificate, ...(await authority.sign("server")) };
      const server = await startServer({ tls });
      const [first, second] = [await authority.sign("first"), await authority.sign("second")];
      const files = { certificate: join(folder, "used.pem"), key: join(folder, "used.key") };
      const use = ({ certificate, key }: { certificate: string; key: string }) => {
        copyFileSync(certificate, files.certificate);
        copyFileSync(key, files.key);
      };
      use(first);
      const { store, warnings, infos } = openStore(server, {
        KAFSCALE_ETCD_CA_FILE: authority.certificate,
        KAFSCALE_ETCD_CERT_FILE: files.certificate,
        KAFSCALE_ETCD_KEY_FILE: files.key,
      });
      await store.probe(prefix, { signal });
      const { revision } = await store.txn(put(`${prefix}a`), { signal });
      const watch = store.watch(prefix, { signal, fromRevision: revision });
      await watch.next();
      use(second);
      const end = performance.now() + 11_000;
      let last = revision;
      for (; performance.now() < end; await sleep(100))
        ({ revision: last } = await store.txn(put(`${prefix}a`), { signal }));
      for (let seen = revision; seen < last; ) seen = (await watch.next()).value?.revision ?? last;
      await watch.return?.();
      expect(warnings).toEqual([]);
      expect(infos).toEqual(["the certificates for etcd were renewed"]);

      const stranger = await CertificateAuthority.create(makeFolder());
      const untrusted = openStore(server, { KAFSCALE_ETCD_CA_FILE: stranger.certificate }).store;
      await expect(untrusted.probe(prefix, { signal })).rejects.toThrow("KAFSCALE_ETCD_CA_FILE");
    });
  });

  describe("space", () => {
    it("says definitely that the quota is full, still answers reads and deletes, and goes on once there is room", async () => {
      const server = await startServer({ flags: [`--quota-backend-bytes=${2 * 1024 * 1024}`] });
      const { store } = openStore(server);
      const full = { kind: "unavailable", message: expect.stringContaining("alarm disarm") as unknown };
      const fill = async () => {
        for (let index = 0; index < 100; index++) await store.txn(put(`${prefix}${index}`, 200_000), { signal });
      };
      await expect(fill()).rejects.toMatchObject(full);
      await expect(store.probe(prefix, { signal })).rejects.toMatchObject(full);
      await expect(store.grantLease(5000, { signal })).rejects.toMatchObject(full);
      const { entries } = await store.range(prefix, { signal });
      for (const { key } of entries) await store.txn({ compare: [], then: [{ type: "delete", key }] }, { signal });
      const { revision } = await store.get(prefix, { signal });
      await server.control("compaction", "--physical", String(revision));
      await server.control("defrag");
      await server.control("alarm", "disarm");
      await store.probe(prefix, { signal });
      await store.txn(put(`${prefix}a`), { signal });
    });
  });
});
