/** Tells which header fields say who a caller is: from outside they are a claim without proof. */
export interface IdentityHeaders {
  /** Names are compared without case, and with `_`, `.` and all such as `-`: CGI-like resources read them alike. */
  isIdentity(name: string): boolean;
}

const EXACT: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'dpop',
  'txn-token',
  'client-cert', // RFC 9440
  'client-cert-chain',
  'forwarded', // RFC 7239
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'remote-user',
  'x-original-url',
  'x-rewrite-url',
  'x-original-method',
  'x-original-uri',
  'x-method-override',
  'x-spiffe-id',
  'workload-identity-token',
  'workload-proof-token',
  'teleport-jwt-assertion',
]);

const PREFIXES: readonly string[] = [
  'x-client-cert',
  'x-ssl-',
  'ssl-client-',
  'x-forwarded',
  'x-user',
  'x-auth-',
  'x-authenticated-',
  'x-authorization',
  'x-remote-',
  'x-http-method',
  'x-countersign-',
  'countersign-',
  'x-goog-authenticated-',
  'x-goog-iap-',
  'x-amzn-oidc-',
  'x-ms-client-principal',
  'x-pomerium-',
  'cf-access-',
  'remote-',
];

/** Names remembered at most; a caller that sends ever new ones only makes us look again. */
const REMEMBERED = 512;

/** The built-in list and `more`, a surface's own names. */
export function createIdentityHeaders(more: readonly string[]): IdentityHeaders {
  const own = new Set(more.map(canonical));
  const known = new Map<string, boolean>();
  return {
    isIdentity(name) {
      const remembered = known.get(name);
      if (remembered !== undefined) return remembered;
      const plain = canonical(name);
      const answer =
        EXACT.has(plain) || own.has(plain) || PREFIXES.some((prefix) => plain.startsWith(prefix));
      if (known.size >= REMEMBERED) known.clear();
      known.set(name, answer);
      return answer;
    },
  };
}

/** PHP reads `Remote.User` as `Remote-User`, too, and some servers all that is no letter and no digit. */
export function canonical(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}
