// What each error of etcd and of gRPC means, from the text that etcd3 leaves of it.
import { describe, expect, it } from "vitest";
import { etcdFailure, isFaultOfEndpoint, isLoginRefusal, LOGIN_REFUSED } from "../../src/kv/etcd-failure.ts";
import { KvError, type KvErrorKind } from "../../src/kv/key-value-store.ts";

function kindOf(text: string): KvErrorKind {
  return etcdFailure(new Error(text), "a transaction").kind;
}

describe("etcdFailure", () => {
  it("takes as definite only what was never sent or what etcd refuses before it applies", () => {
    const definite: readonly (readonly [string, KvErrorKind])[] = [
      ["14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1.", "unavailable"],
      ["14 UNAVAILABLE: Name resolution failed for target dns:nowhere:2379", "unavailable"],
      ["14 UNAVAILABLE: Channel closed before call started", "unavailable"],
      ["8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded", "unavailable"],
      ["8 RESOURCE_EXHAUSTED: etcdserver: too many requests", "unavailable"],
      ["3 INVALID_ARGUMENT: etcdserver: request is too large", "too-large"],
      ["3 INVALID_ARGUMENT: etcdserver: too many operations in txn request", "too-large"],
      ["5 NOT_FOUND: etcdserver: requested lease not found", "lease-not-found"],
      ["Lease 5 NOT_FOUND: etcdserver: requested lease not found is expired or revoked", "lease-not-found"],
      ["11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted", "compacted"],
      ["7 PERMISSION_DENIED: etcdserver: permission denied", "denied"],
      ["3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password", "denied"],
      ["3 INVALID_ARGUMENT: etcdserver: user name is empty", "denied"],
      ["12 UNIMPLEMENTED: Received HTTP status code 404", "denied"],
      [`16 UNAUTHENTICATED: ${LOGIN_REFUSED}`, "unavailable"],
    ];
    for (const [text, kind] of definite) expect([text, kindOf(text)]).toEqual([text, kind]);
  });

  it("takes everything else as unknown, whatever it is called", () => {
    const unknown = [
      "14 UNAVAILABLE: etcdserver: request timed out",
      "14 UNAVAILABLE: etcdserver: request timed out, possibly due to previous leader failure",
      "14 UNAVAILABLE: etcdserver: leader changed",
      "14 UNAVAILABLE: etcdserver: no leader",
      "14 UNAVAILABLE: Connection dropped",
      "14 UNAVAILABLE: read ECONNRESET",
      "4 DEADLINE_EXCEEDED: Deadline exceeded after 2.501s,Waiting for LB pick",
      "1 CANCELLED: Cancelled on client",
      "2 UNKNOWN: raft proposal dropped",
      "13 INTERNAL: Received RST_STREAM with code 2",
      "8 RESOURCE_EXHAUSTED: Received message larger than max (70000000 vs 67108864)",
      "10 ABORTED: ",
      "15 DATA_LOSS: etcdserver: corrupt cluster",
      "something that nobody has seen",
    ];
    for (const text of unknown) expect([text, kindOf(text)]).toEqual([text, "unknown"]);
    expect(etcdFailure("no error at all", "a get").kind).toBe("unknown");
  });

  it("says in one line what was attempted and what a person can do", () => {
    const messageOf = (text: string) => etcdFailure(new Error(text), "a get at etcd http://e:2379").message;
    expect(messageOf("14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED e:2379")).toBe(
      "a get at etcd http://e:2379: nothing listens there: is etcd running, and KAFSCALE_ETCD_ENDPOINTS right? " +
        "(14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED e:2379)",
    );
    expect(messageOf("8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded")).toContain("alarm disarm");
    expect(messageOf("7 PERMISSION_DENIED: etcdserver: permission denied")).toContain("grant-permission");
    expect(messageOf("3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password")).toContain(
      "KAFSCALE_ETCD_PASSWORD",
    );
    expect(
      messageOf("14 UNAVAILABLE: No connection established. Last error: self-signed certificate in certificate chain."),
    ).toContain("KAFSCALE_ETCD_CA_FILE");
    expect(messageOf("2 UNKNOWN: first\n  second")).toBe("a get at etcd http://e:2379: 2 UNKNOWN: first second");
  });

  it("leaves an error of the seam as it is", () => {
    const error = new KvError("compacted", "gone");
    expect(etcdFailure(error, "a watch")).toBe(error);
  });
});

describe("isFaultOfEndpoint", () => {
  it("is what another member may do better, not what the cluster refuses", () => {
    const isFault = (text: string) => isFaultOfEndpoint(etcdFailure(new Error(text), "a get"));
    expect(isFault("4 DEADLINE_EXCEEDED: Deadline exceeded after 2.5s")).toBe(true);
    expect(isFault("14 UNAVAILABLE: etcdserver: no leader")).toBe(true);
    expect(isFault("14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED e:2379")).toBe(true);
    expect(isFault("8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded")).toBe(false);
    expect(isFault("7 PERMISSION_DENIED: etcdserver: permission denied")).toBe(false);
  });
});

describe("isLoginRefusal", () => {
  it("knows the refusals that a fresh login mends, and not a wrong password", () => {
    expect(isLoginRefusal("etcdserver: invalid auth token")).toBe(true);
    expect(isLoginRefusal("etcdserver: revision of auth store is old")).toBe(true);
    expect(isLoginRefusal("etcdserver: user name is empty")).toBe(true);
    expect(isLoginRefusal("etcdserver: authentication failed, invalid user ID or password")).toBe(false);
    expect(isLoginRefusal("etcdserver: permission denied")).toBe(false);
  });
});
