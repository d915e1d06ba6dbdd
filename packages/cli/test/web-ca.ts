import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether this machine has OpenSSL's program, which stands for a CA of the web here; says so when not. */
export function hasOpenssl(): boolean {
  const isThere = spawnSync('openssl', ['version']).status === 0;
  if (!isThere) console.log('skipped: found no openssl');
  return isThere;
}

/** A root, an intermediate below it, and server certificates of that, with RSA keys, as the web's CAs have them. */
export function webCa(folder: string) {
  const at = (name: string): string => join(folder, name);
  const openssl = (...words: string[]) =>
    execFileSync('openssl', words, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
  const authority = (name: string, by = name): void => {
    openssl(
      ...['req', '-new', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', `/O=Web/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)],
      ...(by === name ? [] : ['-CA', at(`${by}.pem`), '-CAkey', at(`${by}.key`)]),
      ...['-days', '90', '-addext', 'basicConstraints=critical,CA:TRUE'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
  };
  authority('root');
  authority('intermediate', 'root');
  let count = 0;
  return {
    rootFile: at('root.pem'),
    rootPem: readFileSync(at('root.pem'), 'utf8'),
    /** A chain of leaf and intermediate, and its key. */
    issue(names: readonly string[], days = 60): { chainPem: string; keyPem: string } {
      count += 1;
      const [key, leaf] = [at(`leaf-${count}.key`), at(`leaf-${count}.pem`)];
      openssl(
        ...['req', '-new', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', leaf],
        ...['-CA', at('intermediate.pem'), '-CAkey', at('intermediate.key'), '-subj', '/CN=leaf'],
        ...['-days', `${days}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
        ...['-addext', `subjectAltName=${names.map((name) => `DNS:${name}`).join()}`],
        ...['-addext', 'extendedKeyUsage=serverAuth'],
      );
      return {
        chainPem: readFileSync(leaf, 'utf8') + readFileSync(at('intermediate.pem'), 'utf8'),
        keyPem: readFileSync(key, 'utf8'),
      };
    },
    openssl,
  };
}

/** Whole at once, as whoever renews certificates does it. */
export function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.next`, text, { mode: 0o600 });
  renameSync(`${file}.next`, file);
}

/** What OpenSSL's own client sees of a server, believing one root alone. The server may be in this process. */
export async function seenByOpenssl(options: {
  readonly port: number;
  readonly rootFile: string;
  readonly name: string;
}): Promise<{ readonly verified: string | undefined; readonly chain: readonly X509Certificate[] }> {
  const { port, rootFile, name } = options;
  const client = spawn(
    'openssl',
    [
      ...['s_client', '-connect', `127.0.0.1:${port}`, '-servername', name, '-showcerts'],
      ...['-verify_hostname', name, '-CAfile', rootFile, '-no-CApath', '-no-CAstore'],
    ],
    { stdio: ['pipe', 'pipe', 'ignore'], timeout: 10_000 },
  );
  client.stdin.end();
  let out = '';
  client.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  await once(client, 'close');
  const pems = out.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return {
    verified: /Verify return code: (.*)/.exec(out)?.[1],
    // The first is repeated at the end.
    chain: [...new Set(pems)].map((pem) => new X509Certificate(pem)),
  };
}
