import { type Dispatcher, request } from 'undici';
import type { TokenWish } from './access-tokens.ts';
import { SdkError } from './sdk-error.ts';

/** What the issuer gave. */
export interface IssuedToken {
  readonly value: string;
  readonly expiresInSeconds: number;
  readonly scope?: string;
  /** `cnf.x5t#S256`, as the token says. */
  readonly certificate: string;
}

const TIMEOUT_MS = 10_000;
const ANSWER_CHARACTERS_MAX = 100_000;
const TEXT_MAX = 300;

/**
 * One token request, authenticated by the certificate of the connection (`spiffe_x509`).
 *
 * @throws {SdkError} `ERR_SDK_TOKEN_REFUSED`, `ERR_SDK_AUTHORITY_UNREACHABLE`, `ERR_SDK_ANSWER_INVALID`, and what the
 *   dispatcher throws of the workload
 */
export async function requestToken(
  { resource, scope }: TokenWish,
  options: {
    readonly issuerUrl: string;
    readonly clientId: string;
    readonly dispatcher: Dispatcher;
    /** In whose name, by the token that was handed over (RFC 8693); absent: in the client's own. */
    readonly subjectToken?: string;
  },
): Promise<IssuedToken> {
  const { issuerUrl, clientId, dispatcher, subjectToken } = options;
  const form = new URLSearchParams({
    ...(subjectToken === undefined
      ? { grant_type: 'client_credentials' }
      : {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: subjectToken,
          subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        }),
    // The draft asks for it beside an X.509-SVID.
    client_id: clientId,
    resource,
    ...(scope !== undefined && { scope }),
  });
  let status: number;
  let text: string;
  try {
    const answer = await request(`${issuerUrl}/token`, {
      dispatcher,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
      },
      body: form.toString(),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    status = answer.statusCode;
    text = await answer.body.text();
  } catch (cause) {
    if (cause instanceof SdkError) throw cause;
    throw new SdkError(
      'ERR_SDK_AUTHORITY_UNREACHABLE',
      `could not get an access token for '${resource}': found ${(cause as Error).message} at ${issuerUrl}, expected an answer`,
      { cause },
    );
  }
  const body = objectOf(text);
  if (status === 200) return issuedOf(body, { issuerUrl, resource });
  const { error, error_description: description } = body;
  const said = [error, description].filter((part) => typeof part === 'string').join(': ');
  throw new SdkError(
    'ERR_SDK_TOKEN_REFUSED',
    `could not get an access token for '${resource}' as ${clientId}: found status ${status}${said === '' ? '' : ` (${oneLine(said)})`}, expected a token`,
    { status },
  );
}

function issuedOf(
  body: Readonly<Record<string, unknown>>,
  { issuerUrl, resource }: { readonly issuerUrl: string; readonly resource: string },
): IssuedToken {
  const { access_token: value, token_type: type, expires_in: seconds, scope } = body;
  if (
    typeof value === 'string' &&
    String(type).toLowerCase() === 'bearer' &&
    typeof seconds === 'number' &&
    seconds > 0
  ) {
    // Read, not verified: whom it is for verifies it. Here it only says which connections it is good for.
    const claims = objectOf(Buffer.from(value.split('.')[1] ?? '', 'base64url').toString());
    const certificate = (claims['cnf'] as Record<string, unknown> | undefined)?.['x5t#S256'];
    if (typeof certificate === 'string') {
      return {
        value,
        expiresInSeconds: seconds,
        certificate,
        ...(typeof scope === 'string' && { scope }),
      };
    }
  }
  throw new SdkError(
    'ERR_SDK_ANSWER_INVALID',
    `could not get an access token for '${resource}': found an answer of ${issuerUrl} that is none, expected a token bound to a certificate`,
  );
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text.slice(0, ANSWER_CHARACTERS_MAX));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** What another server said, for a line of a log. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, TEXT_MAX);
}
