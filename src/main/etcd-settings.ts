// Where etcd is and how to log in: the KAFSCALE_ETCD_* variables, and the files that some of them name. The files are read
// when the store asks, and again later, so that certificates and a password may be renewed under a running broker.
// Refuses half-set combinations by the name of the variable that is missing or too much.
import { readFile } from "node:fs/promises";
import type { EtcdCredentials } from "../kv/etcd-endpoints.ts";
import { SettingsError } from "./settings-error.ts";

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;

/** What a store on etcd is opened with. */
export interface EtcdSettings {
  /** `http://host:port` or `https://host:port`, all of one kind; at least one. */
  readonly endpoints: readonly string[];
  /** Exactly one of the two is given with a user name. */
  readonly login: { readonly username: string; readonly password?: string; readonly passwordFile?: string } | undefined;
  readonly tls: { readonly caFile: string; readonly certFile?: string; readonly keyFile?: string } | undefined;
}

const names = {
  endpoints: "KAFSCALE_ETCD_ENDPOINTS",
  username: "KAFSCALE_ETCD_USERNAME",
  password: "KAFSCALE_ETCD_PASSWORD",
  passwordFile: "KAFSCALE_ETCD_PASSWORD_FILE",
  caFile: "KAFSCALE_ETCD_CA_FILE",
  certFile: "KAFSCALE_ETCD_CERT_FILE",
  keyFile: "KAFSCALE_ETCD_KEY_FILE",
} as const;

/** Every variable that {@link readEtcdSettings} reads. */
export const etcdVariables: readonly string[] = Object.values(names);

const DEFAULT_PORT = 2379;
const endpointShape = /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+)(?::(\d{1,5}))?\/?$/;

/**
 * The settings of etcd, or undefined when none of its variables is set.
 * @throws SettingsError naming the variable
 */
export function readEtcdSettings(environment: Environment): EtcdSettings | undefined {
  const given = (name: string) => environment[name] || undefined;
  const endpointsText = given(names.endpoints);
  if (endpointsText === undefined) {
    const stray = etcdVariables.find((name) => given(name) !== undefined);
    if (stray === undefined) return undefined;
    throw new SettingsError(`${stray} is set and ${names.endpoints} is not: say where etcd is, or unset it`);
  }
  const { username, password, passwordFile, caFile, certFile, keyFile } = names;
  mayStandOnlyWith({ variable: password, needs: username }, given);
  mayStandOnlyWith({ variable: passwordFile, needs: username }, given);
  mayStandOnlyWith({ variable: certFile, needs: keyFile }, given);
  mayStandOnlyWith({ variable: keyFile, needs: certFile }, given);
  mayStandOnlyWith({ variable: certFile, needs: caFile }, given);
  const endpoints = readEndpoints(endpointsText);
  const tls = readTls(given);
  if (tls !== undefined && endpoints.some((endpoint) => endpoint.startsWith("http:"))) {
    throw new SettingsError(`${caFile} is set and ${names.endpoints} has http://: use https:// there, or unset it`);
  }
  return { endpoints, login: readLogin(given), tls };
}

type Given = (name: string) => string | undefined;

function mayStandOnlyWith({ variable, needs }: { readonly variable: string; readonly needs: string }, given: Given) {
  if (given(variable) === undefined || given(needs) !== undefined) return;
  throw new SettingsError(`${variable} is set and ${needs} is not: set both, or neither`);
}

function readLogin(given: Given): EtcdSettings["login"] {
  const username = given(names.username);
  const password = given(names.password);
  const passwordFile = given(names.passwordFile);
  if (username === undefined) return undefined;
  if (password !== undefined && passwordFile !== undefined) {
    throw new SettingsError(`${names.password} and ${names.passwordFile} are both set: unset one of them`);
  }
  if (password !== undefined) return { username, password };
  if (passwordFile !== undefined) return { username, passwordFile };
  throw new SettingsError(`${names.username} is set and ${names.password} is not: set it, or ${names.passwordFile}`);
}

function readTls(given: Given): EtcdSettings["tls"] {
  const caFile = given(names.caFile);
  const certFile = given(names.certFile);
  const keyFile = given(names.keyFile);
  if (caFile === undefined) return undefined;
  return { caFile, ...(certFile !== undefined && keyFile !== undefined && { certFile, keyFile }) };
}

function readEndpoints(text: string): readonly string[] {
  const endpoints = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const [, scheme = "http", host = "", port = String(DEFAULT_PORT)] = endpointShape.exec(part) ?? [];
      if (host !== "" && Number(port) > 0 && Number(port) <= 65_535) return `${scheme}://${host}:${port}`;
      throw new SettingsError(
        `${names.endpoints} has "${part}": each has to be http://host:port or https://host:port, with commas between`,
      );
    });
  if (endpoints.length === 0) throw new SettingsError(`${names.endpoints} names no endpoint`);
  if (new Set(endpoints.map((endpoint) => endpoint.startsWith("https:"))).size > 1) {
    throw new SettingsError(`${names.endpoints} has http:// and https://: all endpoints have to be of one kind`);
  }
  return [...new Set(endpoints)];
}

/** Reads the credentials as they are now; undefined where none are set. Fails as the reading of a file does. */
export function etcdCredentials({ login, tls }: EtcdSettings): (() => Promise<EtcdCredentials>) | undefined {
  if (login === undefined && tls === undefined) return undefined;
  return async () => ({
    ...(tls && { tls: await readCertificates(tls) }),
    ...(login && { login: { username: login.username, password: await readPassword(login) } }),
  });
}

async function readCertificates({ caFile, certFile, keyFile }: NonNullable<EtcdSettings["tls"]>) {
  const rootCertificate = await readFile(caFile);
  if (certFile === undefined || keyFile === undefined) return { rootCertificate };
  return { rootCertificate, certificate: await readFile(certFile), privateKey: await readFile(keyFile) };
}

async function readPassword({ password, passwordFile }: NonNullable<EtcdSettings["login"]>): Promise<string> {
  if (passwordFile === undefined) return password ?? "";
  // A file that was written by hand ends with a line feed that is no part of the password.
  return (await readFile(passwordFile, "utf8")).replace(/\r?\n$/, "");
}
