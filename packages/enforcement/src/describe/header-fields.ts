import { LIMITS } from '../limits.ts';

/** The header fields that verbs look at, found in one pass over the raw fields. */
export interface HeaderFields {
  readonly authorization: string | undefined;
  readonly dpop: string | undefined;
  readonly txnToken: string | undefined;
  /** `Transaction-Assertion`: a person's approval of this request. */
  readonly assertion: string | undefined;
  readonly host: string | undefined;
  /** Whether content follows (RFC 9112 §6.3). */
  readonly hasContent: boolean;
  /** Whether anything in the head speaks of a signature (RFC 9421). */
  readonly isSigned: boolean;
  /** Why these fields may be read in two ways, if so. */
  readonly ambiguity: string | undefined;
}

type Singleton =
  | 'authorization'
  | 'dpop'
  | 'txn-token'
  | 'transaction-assertion'
  | 'host'
  | 'content-length'
  | 'content-type'
  | 'transfer-encoding';

const SINGLETONS: ReadonlyMap<string, Singleton> = new Map(
  (
    [
      'authorization',
      'dpop',
      'txn-token',
      'transaction-assertion',
      'host',
      'content-length',
      'content-type',
      'transfer-encoding',
    ] as const
  ).map((name) => [name, name]),
);

/** Reads the fields that matter to security; `ambiguity` tells what two readers would read apart. */
export function readHeaderFields(rawHeaders: readonly string[]): HeaderFields {
  const found = new Map<Singleton, string>();
  let ambiguity: string | undefined;
  let isSigned = false;
  if (rawHeaders.length / 2 > LIMITS.headerFields) {
    ambiguity = `${rawHeaders.length / 2} header fields, expected at most ${LIMITS.headerFields}`;
  }
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const raw = rawHeaders[index] as string;
    const name = raw.toLowerCase();
    const singleton = SINGLETONS.get(name);
    if (singleton) {
      // RFC 9110 §5.3: a field that is no list must not come twice; which one counts differs by reader.
      if (found.has(singleton)) ambiguity ??= `more than one ${singleton} field`;
      else found.set(singleton, rawHeaders[index + 1] as string);
    } else if (name === 'connection') {
      ambiguity ??= nominated(rawHeaders[index + 1] as string);
    } else if (name === 'signature-input') {
      isSigned = true;
    } else if (SINGLETONS.has(plain(name))) {
      // CGI-like resources read `Content_Length` as `Content-Length`.
      ambiguity ??= `a field that some readers take for ${plain(name)}`;
    }
  }
  const encoding = found.get('transfer-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') {
    ambiguity ??= 'a transfer coding other than chunked';
  }
  // RFC 9112 §6.1: both together are an attempt to smuggle; the parser refuses it, and so do we.
  if (encoding !== undefined && found.has('content-length')) {
    ambiguity ??= 'both transfer-encoding and content-length';
  }
  return {
    authorization: found.get('authorization'),
    dpop: found.get('dpop'),
    txnToken: found.get('txn-token'),
    assertion: found.get('transaction-assertion'),
    host: found.get('host'),
    hasContent: encoding !== undefined || (found.get('content-length') ?? '0') !== '0',
    isSigned,
    ambiguity,
  };
}

/** As readers may take it who know letters and digits alone. */
function plain(name: string): string {
  return name.replace(/[^a-z0-9]/g, '-');
}

/** A caller that declares a security field hop-by-hop wants it gone on one side only. */
function nominated(connection: string): string | undefined {
  for (const option of connection.toLowerCase().split(',')) {
    const name = plain(option.trim());
    // Naming Transfer-Encoding there is odd but harmless: it is hop-by-hop.
    if (SINGLETONS.has(name) && name !== 'transfer-encoding') {
      return `connection names ${name}`;
    }
  }
  return undefined;
}
