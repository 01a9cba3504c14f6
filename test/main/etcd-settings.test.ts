// The variables of etcd: what is taken, what is refused and by which name, and when files are read.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { etcdCredentials, etcdVariables, readEtcdSettings } from "../../src/main/etcd-settings.ts";
import { SettingsError } from "../../src/main/settings-error.ts";

const endpoints = { KAFSCALE_ETCD_ENDPOINTS: "http://etcd:2379" };
const secure = { KAFSCALE_ETCD_ENDPOINTS: "https://etcd:2379" };

function refusalOf(environment: Readonly<Record<string, string>>): string {
  try {
    readEtcdSettings(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return error instanceof Error ? error.message : "";
  }
  return "none";
}

describe("readEtcdSettings", () => {
  it("is undefined without a variable, and where all are empty", () => {
    expect(readEtcdSettings({ PATH: "/bin" })).toBeUndefined();
    expect(readEtcdSettings(Object.fromEntries(etcdVariables.map((name) => [name, ""])))).toBeUndefined();
  });

  it("takes endpoints with and without scheme and port, each once", () => {
    const of = (text: string) => readEtcdSettings({ KAFSCALE_ETCD_ENDPOINTS: text })?.endpoints;
    expect(of("http://a:2379,http://b:1")).toEqual(["http://a:2379", "http://b:1"]);
    expect(of(" a , b:99, http://a:2379/ ,")).toEqual(["http://a:2379", "http://b:99"]);
    expect(of("https://[::1]:2379")).toEqual(["https://[::1]:2379"]);
    expect(of("https://etcd.svc")).toEqual(["https://etcd.svc:2379"]);
  });

  it("refuses endpoints that cannot be, with the text that is wrong", () => {
    for (const text of ["ftp://a", "http://", "a:b", "http://a:70000", "http://a:0", "http://a/b", "http://u@p:a b"]) {
      expect(refusalOf({ KAFSCALE_ETCD_ENDPOINTS: text })).toContain(`KAFSCALE_ETCD_ENDPOINTS has "${text}"`);
    }
    expect(refusalOf({ KAFSCALE_ETCD_ENDPOINTS: " , " })).toContain("names no endpoint");
    expect(refusalOf({ KAFSCALE_ETCD_ENDPOINTS: "http://a,https://b" })).toContain("of one kind");
  });

  it("refuses every half of a pair by the name of the half that is missing", () => {
    const halves: readonly (readonly [given: Record<string, string>, missing: string])[] = [
      [{ KAFSCALE_ETCD_USERNAME: "u" }, "KAFSCALE_ETCD_ENDPOINTS is not"],
      [{ ...endpoints, KAFSCALE_ETCD_USERNAME: "u" }, "KAFSCALE_ETCD_PASSWORD is not"],
      [{ ...endpoints, KAFSCALE_ETCD_PASSWORD: "p" }, "KAFSCALE_ETCD_USERNAME is not"],
      [{ ...endpoints, KAFSCALE_ETCD_PASSWORD_FILE: "p" }, "KAFSCALE_ETCD_USERNAME is not"],
      [{ ...secure, KAFSCALE_ETCD_CA_FILE: "a", KAFSCALE_ETCD_CERT_FILE: "c" }, "KAFSCALE_ETCD_KEY_FILE is not"],
      [{ ...secure, KAFSCALE_ETCD_CA_FILE: "a", KAFSCALE_ETCD_KEY_FILE: "k" }, "KAFSCALE_ETCD_CERT_FILE is not"],
      [{ ...secure, KAFSCALE_ETCD_CERT_FILE: "c", KAFSCALE_ETCD_KEY_FILE: "k" }, "KAFSCALE_ETCD_CA_FILE is not"],
    ];
    for (const [given, missing] of halves) expect(refusalOf(given)).toContain(missing);
  });

  it("refuses two passwords, and certificates for endpoints without TLS", () => {
    const both = { KAFSCALE_ETCD_USERNAME: "u", KAFSCALE_ETCD_PASSWORD: "p", KAFSCALE_ETCD_PASSWORD_FILE: "f" };
    expect(refusalOf({ ...endpoints, ...both })).toContain("both set");
    expect(refusalOf({ ...endpoints, KAFSCALE_ETCD_CA_FILE: "ca" })).toContain("use https://");
  });
});

describe("etcdCredentials", () => {
  it("is undefined where nothing is set", () => {
    const settings = readEtcdSettings(endpoints);
    expect(settings && etcdCredentials(settings)).toBeUndefined();
  });

  it("reads the files as they are at each call", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kafscale-etcd-settings-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const settings = readEtcdSettings({
      ...secure,
      KAFSCALE_ETCD_USERNAME: "u",
      KAFSCALE_ETCD_PASSWORD_FILE: file("password", "first \n"),
      KAFSCALE_ETCD_CA_FILE: file("ca", "CA"),
      KAFSCALE_ETCD_CERT_FILE: file("cert", "C"),
      KAFSCALE_ETCD_KEY_FILE: file("key", "K"),
    });
    const load = settings && etcdCredentials(settings);
    const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
    const first = await load?.();
    expect(first?.login).toEqual({ username: "u", password: "first " });
    const { rootCertificate, certificate, privateKey } = first?.tls ?? {};
    expect([rootCertificate, certificate, privateKey].map(text)).toEqual(["CA", "C", "K"]);
    file("password", "second");
    file("cert", "C2");
    const second = await load?.();
    expect(second?.login?.password).toBe("second");
    expect(text(second?.tls?.certificate)).toBe("C2");
    rmSync(join(folder, "ca"));
    await expect(load?.()).rejects.toThrow("ENOENT");
  });
});
