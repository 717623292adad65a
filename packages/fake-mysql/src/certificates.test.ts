import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificates, type Certificates } from "./certificates.ts";

const directory = mkdtempSync(join(tmpdir(), "certificates-"));
let certificates: Certificates;
beforeAll(async () => {
  certificates = await createCertificates(directory);
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function read(file: string): X509Certificate {
  return new X509Certificate(readFileSync(file));
}

test("the authority has signed each server's certificate, and the other authority none", () => {
  const { authorityFile, otherAuthorityFile, rightName, wrongName, addressOnly, nameOnly } = certificates;
  const [authority, other] = [read(authorityFile), read(otherAuthorityFile)];
  expect({ isCa: authority.ca, signsItself: authority.verify(authority.publicKey) }).toEqual({
    ...{ isCa: true, signsItself: true },
  });
  for (const { certificateFile } of [rightName, wrongName, addressOnly, nameOnly]) {
    const certificate = read(certificateFile);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.checkIssued(authority)).toBe(true);
    expect(certificate.verify(other.publicKey)).toBe(false);
    expect(certificate.ca).toBe(false);
  }
});

test("each is for its names and addresses only", async () => {
  const isFor = ({ certificateFile }: Certificates["rightName"]): readonly boolean[] => {
    const certificate = read(certificateFile);
    const names = ["localhost", "db.example.com", "elsewhere.invalid"];
    return [...names.map((name) => certificate.checkHost(name)), certificate.checkIP("127.0.0.1")].map(
      (found) => found !== undefined,
    );
  };
  expect(isFor(certificates.rightName)).toEqual([true, false, false, true]);
  expect(isFor(await certificates.signed(["db.example.com", "localhost"], ["127.0.0.1"]))).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(isFor(certificates.wrongName)).toEqual([false, false, true, false]);
  expect(isFor(certificates.addressOnly)).toEqual([false, false, false, true]);
  expect(isFor(certificates.nameOnly)).toEqual([true, false, false, false]);
});

test("they are valid for two days, and nobody else may read a key", () => {
  const { validFrom, validTo } = read(certificates.rightName.certificateFile);
  expect(Date.parse(validFrom)).toBeLessThan(Date.now());
  expect((Date.parse(validTo) - Date.now()) / 86_400_000).toBeCloseTo(2, 1);
  expect(statSync(certificates.rightName.keyFile).mode & 0o077).toBe(0);
});
