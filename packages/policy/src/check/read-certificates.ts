import { createHash, X509Certificate } from 'node:crypto';
import { quote } from '../document/describe.ts';
import { inside, readText, TEXT_BYTES_MAX } from '../document/read-text.ts';
import type { Place } from '../document/report.ts';
import type { CheckContext } from './repository-source.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/;
/** SHA-256 in base64url without padding: 43 characters, of which the last carries four bits. */
const THUMBPRINT = /^sha256:([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])$/;
/** How many certificates one file may hold. */
export const CERTIFICATES_MAX = 100;

type Options = CheckContext & { readonly from: Place };

/**
 * The thumbprint (SHA-256 over DER, base64url) of a client certificate, from a PEM file with one
 * certificate or from `sha256:<base64url>`.
 */
export async function readThumbprint(named: string, options: Options): Promise<string | undefined> {
  const given = THUMBPRINT.exec(named)?.[1];
  if (given !== undefined) return given;
  if (named.startsWith('sha256:')) {
    options.report.error(options.from, {
      found: quote(named),
      expected: 'sha256: and 43 characters of base64url, the digest of the DER',
      mend: 'name the PEM file instead: its digest is taken for you',
    });
    return undefined;
  }
  const certificates = await readCertificates(named, options);
  const [certificate, ...more] = certificates ?? [];
  if (!certificate) return undefined;
  if (more.length > 0) {
    options.report.error(options.from, {
      found: `${more.length + 1} certificates in ${quote(named)}`,
      expected: "one: the caller's own, without its authorities",
      mend: 'keep only the first',
    });
    return undefined;
  }
  if (certificate.ca) {
    options.report.error(options.from, {
      found: `${oneLine(certificate.subject)} in ${quote(named)}, which is an authority`,
      expected: "the caller's own certificate: listeners refuse one with basicConstraints CA:TRUE",
      mend: "list its authority under 'clientAuthorities' of a listener, and here what it signed",
    });
    return undefined;
  }
  return createHash('sha256').update(certificate.raw).digest('base64url');
}

/** The certificate authorities in a PEM file, each as PEM of its own. */
export async function readAuthorities(file: string, options: Options): Promise<readonly string[]> {
  const certificates = (await readCertificates(file, options)) ?? [];
  return certificates.flatMap((certificate) => {
    if (certificate.ca) return [certificate.toString()];
    options.report.error(options.from, {
      found: `${oneLine(certificate.subject)} in ${quote(file)}, which is no authority`,
      expected: 'certificates with basicConstraints CA:TRUE',
      mend: "list a caller's own certificate under 'certificates' of its identity",
    });
    return [];
  });
}

/** What to say of a private key in the repository, wherever it was found. */
export const PRIVATE_KEY_WORDS = {
  expected: 'none in the repository: whoever reads it would have the key',
  mend: 'keep keys elsewhere (/run/secrets/…), and replace this one: it is no secret any more',
} as const;

/** What was found, where a file is named. */
export function privateKeyIn(file: string): string {
  return `a private key in ${quote(file)}`;
}

async function readCertificates(
  named: string,
  options: Options,
): Promise<readonly X509Certificate[] | undefined> {
  const { report, from, folder } = options;
  const refuse = (found: string, expected: string, mend: string) => {
    report.error(from, { found, expected, mend });
    return undefined;
  };
  const file = inside('.', named);
  if (file === undefined) {
    return refuse(
      quote(named),
      "a path inside the repository, from the repository's folder",
      'copy the certificate into the repository',
    );
  }
  const text = await readText(file, { folder, report, from, bytesMax: TEXT_BYTES_MAX });
  if (text === undefined) return undefined;
  if (PRIVATE_KEY.test(text)) {
    report.error(from, { found: privateKeyIn(named), ...PRIVATE_KEY_WORDS });
    return undefined;
  }
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0 || blocks.length > CERTIFICATES_MAX) {
    return refuse(
      `${blocks.length} certificates in ${quote(named)}`,
      `PEM with 1 to ${CERTIFICATES_MAX} certificates`,
      'convert it: openssl x509 -inform der -in file.der',
    );
  }
  const certificates = blocks.flatMap((block) => parse(block) ?? []);
  if (certificates.length < blocks.length) {
    return refuse(
      `a certificate in ${quote(named)} that does not parse`,
      'X.509 certificates in PEM',
      'get the file again',
    );
  }
  for (const certificate of certificates) warnOfValidity(certificate, named, options);
  return certificates;
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function warnOfValidity(certificate: X509Certificate, file: string, options: Options): void {
  const now = options.now();
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (now >= from && now <= to) return;
  const when =
    now < from ? `valid from ${certificate.validFrom}` : `expired ${certificate.validTo}`;
  options.report.warn(options.from, {
    found: `${oneLine(certificate.subject)} in ${quote(file)}, ${when}`,
    expected: 'a certificate that is valid now: connections with it are refused',
    mend: 'ask its owner for a new one',
  });
}

function oneLine(subject: string): string {
  return quote(subject.replaceAll('\n', ', '));
}
