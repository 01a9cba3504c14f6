// What a failed call to etcd means: definitely not done, or unknown, and what a person can do about it. Reads the text of
// the error, because etcd3 turns the codes of gRPC into classes and keeps only the text. Whatever is not known to be
// definite is unknown.
import { KvError, type KvErrorKind } from "./key-value-store.ts";

interface Meaning {
  readonly kind: KvErrorKind;
  /** What happened and what to do, in place of etcd's own words. */
  readonly advice?: string;
}

const loginAdvice =
  "check KAFSCALE_ETCD_USERNAME and KAFSCALE_ETCD_PASSWORD (or KAFSCALE_ETCD_PASSWORD_FILE), and etcdctl user get";

/** Refusals that a fresh login mends. Nothing was applied. */
const loginRefusals = ["invalid auth token", "revision of auth store is old", "user name is empty"];

/** What a call fails with whose login was refused. Its words are our own, because etcd3 repeats calls by etcd's. */
export const LOGIN_REFUSED = "etcd wants a fresh login";

/** gRPC's words for a call that had no connection to leave by. */
const neverSent = ["No connection established", "Name resolution failed", "Channel closed before call started"];

/** Refusals by a part of their text; the first that fits counts. All of them are definite. */
const refusals: readonly (readonly [text: string, meaning: Meaning])[] = [
  ["required revision has been compacted", { kind: "compacted" }],
  ["requested lease not found", { kind: "lease-not-found" }],
  [
    "database space exceeded",
    {
      kind: "unavailable",
      advice:
        "etcd is out of its space quota and takes no writes: compact and defragment it and lift the alarm (etcdctl " +
        "compact, defrag, alarm disarm), or give it more with --quota-backend-bytes",
    },
  ],
  ["too many requests", { kind: "unavailable" }],
  ["request is too large", { kind: "too-large" }],
  ["too many operations", { kind: "too-large" }],
  [
    "authentication failed, invalid user ID or password",
    { kind: "denied", advice: `etcd refuses the user name or the password: ${loginAdvice}` },
  ],
  [
    "user name is empty",
    { kind: "denied", advice: "etcd asks for a login: set KAFSCALE_ETCD_USERNAME and KAFSCALE_ETCD_PASSWORD" },
  ],
  [
    "permission denied",
    {
      kind: "denied",
      advice:
        "etcd denies this user the keys: grant its role readwrite on the prefix of the cluster (etcdctl role " +
        "grant-permission ROLE --prefix=true readwrite /kafscale/CLUSTER/)",
    },
  ],
  [LOGIN_REFUSED, { kind: "unavailable" }],
  ["invalid auth token", { kind: "unavailable" }],
  ["revision of auth store is old", { kind: "unavailable" }],
  ...neverSent.map((text) => [text, { kind: "unavailable" }] as const),
];

/** Why no connection came to be, by a part of the text. */
const connectionAdvice: readonly (readonly [text: string, advice: string])[] = [
  ["ECONNREFUSED", "nothing listens there: is etcd running, and KAFSCALE_ETCD_ENDPOINTS right?"],
  ["Name resolution failed", "the name is not known: is KAFSCALE_ETCD_ENDPOINTS right?"],
  ["wrong version number", "it does not speak TLS: use http:// in KAFSCALE_ETCD_ENDPOINTS, or turn TLS on in etcd"],
  ["packet length too long", "it does not speak TLS: use http:// in KAFSCALE_ETCD_ENDPOINTS, or turn TLS on in etcd"],
  ["certificate has expired", "its certificate has expired: renew it"],
  ["altnames", "its certificate is for another name: use a name of the certificate in KAFSCALE_ETCD_ENDPOINTS"],
  ["alert", "it refused our client certificate: check KAFSCALE_ETCD_CERT_FILE and KAFSCALE_ETCD_KEY_FILE"],
  ["certificate", "its certificate is not trusted: name the CA that signed it in KAFSCALE_ETCD_CA_FILE"],
];

/** Codes of gRPC that no server gives after it began to apply a call. */
const definiteCodes: Readonly<Record<string, KvErrorKind>> = {
  INVALID_ARGUMENT: "too-large",
  NOT_FOUND: "too-large",
  ALREADY_EXISTS: "too-large",
  FAILED_PRECONDITION: "too-large",
  OUT_OF_RANGE: "too-large",
  PERMISSION_DENIED: "denied",
  UNIMPLEMENTED: "denied",
  UNAUTHENTICATED: "unavailable",
};

/** The error of the seam for whatever a call to etcd failed with. `what` names the call and the endpoint. */
export function etcdFailure(error: unknown, what: string): KvError {
  if (error instanceof KvError) return error;
  const text = textOf(error);
  const { kind, advice } = meaningOf(text);
  return new KvError(kind, `${what}: ${advice ?? text}`, { cause: error });
}

/** Whether another endpoint may do what this one did not: it was not reached, or gave no answer. */
export function isFaultOfEndpoint(failure: KvError): boolean {
  return failure.kind === "unknown" || neverSent.some((text) => failure.message.includes(text));
}

/** Whether etcd's words say that a fresh login would mend the call. */
export function isLoginRefusal(text: string): boolean {
  return loginRefusals.some((refusal) => text.includes(refusal));
}

/** Whether a call failed with {@link LOGIN_REFUSED}. */
export function isLoginRefused(error: unknown): boolean {
  return textOf(error).includes(LOGIN_REFUSED);
}

/** Whether etcd was asked for a login while it has none: its authentication is off. */
export function isLoginNotNeeded(error: unknown): boolean {
  return textOf(error).includes("authentication is not enabled");
}

/** Whether an answer was bigger than this client takes. */
export function isAnswerTooLarge(error: unknown): boolean {
  return textOf(error).includes("Received message larger than max");
}

/** The text of an error as gRPC gives it: `14 UNAVAILABLE: why`. */
function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ");
}

function meaningOf(text: string): Meaning {
  const refusal = refusals.find(([part]) => text.includes(part));
  if (refusal) return withConnectionAdvice(text, refusal[1]);
  const code = /^\d+ ([A-Z_]+):/.exec(text)?.[1] ?? "";
  if (code === "UNIMPLEMENTED") {
    return { kind: "denied", advice: `it does not speak etcd's v3 API, check KAFSCALE_ETCD_ENDPOINTS (${text})` };
  }
  return { kind: definiteCodes[code] ?? "unknown" };
}

function withConnectionAdvice(text: string, meaning: Meaning): Meaning {
  if (meaning.kind !== "unavailable" || meaning.advice !== undefined) return meaning;
  const advice = connectionAdvice.find(([part]) => text.includes(part))?.[1];
  return advice === undefined ? meaning : { ...meaning, advice: `${advice} (${text})` };
}
