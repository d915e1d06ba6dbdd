import { SdkError } from '../sdk-error.ts';
import { fieldLines } from './component-value.ts';
import { contentDigests, type ExpectedDigests } from './content-digest.ts';
import type { RequestMessage } from './http-message.ts';
import { type ReceivedSignature, receivedSignatures } from './received-signature.ts';
import { signatureBase } from './signature-base.ts';
import { type CarriedToken, carriedTokens, tokenDigest } from './token-digest.ts';

/**
 * For which application a request's signature is. `fapi-2-request` covers `authorization` itself, as FAPI 2.0 has it;
 * `countersign-request` may name the token by its hash, and then anybody can be shown what was signed.
 */
export const REQUEST_SIGNATURE_TAGS = ['countersign-request', 'fapi-2-request'] as const;

/** How old a request's signature may be. FAPI 2.0 HTTP Signatures: a minute. */
export const REQUEST_SIGNATURE_AGE_MS = 60_000;

/** A request's signature that covers what it must; whose it is, and whether it is good, is still to be verified. */
export interface SignedRequest {
  readonly kind: 'signed';
  readonly label: string;
  readonly tag: (typeof REQUEST_SIGNATURE_TAGS)[number];
  /** What the signer calls its key; never a reason to trust one. */
  readonly keyId: string;
  /** The algorithm that the signature names, if it names one. */
  readonly algorithm: string | undefined;
  readonly createdMs: number;
  /** The value of `@signature-params`. */
  readonly input: string;
  readonly signature: Uint8Array;
  /** What was signed. Holds a token when `authorization` or `txn-token` is covered: see {@link recordable}. */
  readonly base: string;
  /** The same with a hash in the place of each token: what may be kept. */
  readonly recordable: string;
  /** The tokens whose hash stands in `recordable`. */
  readonly withheld: readonly CarriedToken[];
  /** What the content must hash to; nothing when no digest is covered, which only a request without content may. */
  readonly content: ExpectedDigests | undefined;
}

/** Why a request counts as unsigned; in words, for whoever signs. */
export interface UnfitSignature {
  readonly kind: 'unfit';
  readonly detail: string;
}

/** Covered components besides those that must be. Closed: what is covered is kept, so no field of secrets is here. */
const MAY_COVER: ReadonlySet<string> = new Set([
  '@method',
  '@target-uri',
  '@authority',
  '@scheme',
  '@request-target',
  '@path',
  '@query',
  'authorization',
  'dpop',
  'txn-token',
  'token-digest',
  'content-digest',
  'content-type',
  'content-length',
  'content-encoding',
  'date',
  'idempotency-key',
  'x-idempotency-key',
  'x-fapi-interaction-id',
]);

/** Fields of which a second line would let two readers see two requests. */
const ONCE: ReadonlySet<string> = new Set(
  [...MAY_COVER, 'signature', 'signature-input'].filter((name) => !name.startsWith('@')),
);

const BASE_CHARACTERS_MAX = 24 * 1024;
const TEXT_CHARACTERS_MAX = 256;

/**
 * Reads the one signature of a request by the strict profile that surfaces ask for: it covers `@method`, `@target-uri`,
 * the token that the request carries (`dpop`, whose proof names the token, or `token-digest`, or the field itself), `dpop` when
 * there is one, and `content-digest` when there is content; it has `created`, at most a minute ago, `keyid` and `tag`. A second
 * signature, a component with parameters, one outside of a closed list, a field that comes twice, a covered field that `Connection`
 * names and one that some readers take for a covered one (`_` for `-`) are refused.
 *
 * @param message every field of the request, names and values alternating
 * @returns never throws for what the request holds
 * @see FAPI 2.0 HTTP Signatures, RFC 9421 §3.2
 */
export function readSignedRequest(
  message: RequestMessage,
  options: {
    readonly nowMs: number;
    /** How far the signer's clock may be ahead. */
    readonly skewMs: number;
    readonly hasContent: boolean;
    /** Whether the request's DPoP proof was verified, with its `ath`: only then does it name the token. */
    readonly isProofVerified: boolean;
  },
): SignedRequest | UnfitSignature {
  try {
    return read(message, options);
  } catch (error) {
    if (error instanceof SdkError) return unfit(error.message);
    throw error;
  }
}

function read(
  message: RequestMessage,
  { nowMs, skewMs, hasContent, isProofVerified }: Parameters<typeof readSignedRequest>[1],
): SignedRequest | UnfitSignature {
  const { fields } = message;
  const received = receivedSignatures(fields);
  const [only] = received;
  if (!only || received.length > 1) return unfit(`${received.length} signatures, expected one`);
  const names = new Set(only.components.map(({ name }) => name));
  for (const { name, identifier, parameters } of only.components) {
    if (!MAY_COVER.has(name)) return unfit(`it covers ${identifier}, which it may not`);
    if (Object.keys(parameters).length > 0)
      return unfit(`it covers ${identifier}, with parameters`);
  }
  for (const name of ONCE) {
    if ((names.has(name) || name.startsWith('signature')) && fieldLines(fields, name).length > 1) {
      return unfit(`'${name}' comes more than once`);
    }
  }
  const shadowed = otherReading(fields, names);
  if (shadowed) return unfit(shadowed);
  const tokens = carriedTokens(fields);
  if (!tokens) return unfit('the token cannot be read in one way');
  const fault =
    parameterFault(only, { nowMs, skewMs }) ??
    coverageFault(names, message, {
      tokens,
      hasContent,
      isProofVerified,
      tag: only.parameters.tag,
    });
  if (fault) return unfit(fault);
  const base = signatureBase(message, only);
  if (base.length > BASE_CHARACTERS_MAX) return unfit('what it covers is too long');
  const { parameters } = only;
  const withheld = tokens.filter(({ field }) => names.has(field));
  return {
    kind: 'signed',
    label: only.label,
    tag: parameters.tag as SignedRequest['tag'],
    keyId: parameters.keyid as string,
    algorithm: parameters.alg,
    createdMs: (parameters.created as number) * 1000,
    input: only.input,
    signature: only.signature,
    base,
    recordable: withoutTokens(base, withheld),
    withheld,
    content: names.has('content-digest') ? contentDigests(fields) : undefined,
  };
}

/** Why what is covered may not be what the resource reads, if so. */
function otherReading(fields: readonly string[], covered: ReadonlySet<string>): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] as string).toLowerCase();
    if (name === 'connection') {
      // RFC 9110 §7.6.1: whoever passes the request on takes such a field out.
      for (const option of (fields[index + 1] as string).toLowerCase().split(',')) {
        const nominated = option.trim().replaceAll('_', '-');
        if (covered.has(nominated)) return `'connection' names '${nominated}', which it covers`;
      }
    } else if (name.includes('_') && covered.has(name.replaceAll('_', '-'))) {
      // CGI-like resources read `X_Idempotency_Key` as `X-Idempotency-Key`.
      return `some readers take '${name}' for '${name.replaceAll('_', '-')}', which it covers`;
    }
  }
  return undefined;
}

function parameterFault(
  { parameters, signature }: ReceivedSignature,
  { nowMs, skewMs }: { readonly nowMs: number; readonly skewMs: number },
): string | undefined {
  const { created, expires, keyid, tag, nonce = '' } = parameters;
  if (!tag || !(REQUEST_SIGNATURE_TAGS as readonly string[]).includes(tag)) {
    return `its tag is none of ${REQUEST_SIGNATURE_TAGS.join(', ')}`;
  }
  if (created === undefined) return 'it has no created';
  const ageMs = nowMs - created * 1000;
  if (ageMs > REQUEST_SIGNATURE_AGE_MS) return 'it was created more than a minute ago';
  if (ageMs < -skewMs) return 'it was created in the future';
  if (expires !== undefined && nowMs >= expires * 1000 + skewMs) return 'it has expired';
  if (!keyid || keyid.length > TEXT_CHARACTERS_MAX) return 'it has no keyid, or one too long';
  if (nonce.length > TEXT_CHARACTERS_MAX) return 'its nonce is too long';
  return signature.length > 512 ? 'it is too long' : undefined;
}

function coverageFault(
  names: ReadonlySet<string>,
  { fields }: RequestMessage,
  request: {
    readonly tokens: readonly CarriedToken[];
    readonly hasContent: boolean;
    readonly isProofVerified: boolean;
    readonly tag: string | undefined;
  },
): string | undefined {
  const { tokens, hasContent, isProofVerified, tag } = request;
  for (const name of ['@method', '@target-uri']) {
    if (!names.has(name)) return `it does not cover '${name}'`;
  }
  if (fieldLines(fields, 'dpop').length > 0 && !names.has('dpop'))
    return "it does not cover 'dpop'";
  if (hasContent && !names.has('content-digest')) return "it does not cover 'content-digest'";
  if (names.has('token-digest') && fieldLines(fields, 'token-digest')[0] !== tokenDigest(tokens)) {
    return "'token-digest' is not of the tokens of the request";
  }
  for (const { field } of tokens) {
    // A proof of DPoP names its token by hash (RFC 9449 §4.2), so covering the proof covers the token.
    const isNamed = names.has('token-digest') || (isProofVerified && field === 'authorization');
    if (names.has(field) || (isNamed && tag !== 'fapi-2-request')) continue;
    return `it does not cover '${field}'${tag === 'fapi-2-request' ? '' : " nor 'token-digest'"}`;
  }
  return undefined;
}

/** Each covered field is one line that begins with its name in quotes, and no value holds a line break. */
function withoutTokens(base: string, withheld: readonly CarriedToken[]): string {
  if (withheld.length === 0) return base;
  return base
    .split('\n')
    .map((line) => {
      const token = withheld.find(({ field }) => line.startsWith(`"${field}": `));
      return token ? `"${token.field}": ${token.before}${token.sha256}` : line;
    })
    .join('\n');
}

function unfit(detail: string): UnfitSignature {
  return { kind: 'unfit', detail };
}
