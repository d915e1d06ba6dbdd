import type { CoveredComponent } from './covered-component.ts';
import type { HttpMessage, RequestMessage } from './http-message.ts';
import { signatureFault } from './signature-fault.ts';

/**
 * The value of a derived component.
 *
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID`
 * @see RFC 9421 §2.2
 */
export function derivedValue(message: HttpMessage, component: CoveredComponent): string {
  const { name, parameters, identifier } = component;
  const odd = Object.keys(parameters).find(
    (key) => key !== 'req' && !(key === 'name' && name === '@query-param'),
  );
  if (odd) signatureFault(`found ${identifier}: '${odd}' is no parameter of '${name}'`);
  if (name === '@status') {
    return message.kind === 'response'
      ? String(message.status)
      : signatureFault("found '@status' of a request");
  }
  if (message.kind !== 'request') return signatureFault(`found ${identifier} of a response`);
  const uri = partsOf(message.targetUri);
  switch (name) {
    case '@method':
      return message.method;
    case '@target-uri':
      return message.targetUri;
    case '@authority':
      return uri.authority;
    case '@scheme':
      return uri.scheme;
    case '@request-target':
      return message.requestTarget ?? originForm(message);
    case '@path':
      return uri.path;
    case '@query':
      return uri.query ?? '?';
    case '@query-param':
      return queryParameter(uri.query ?? '?', component);
    default:
      return signatureFault(`found ${identifier}, which is no derived component that is known`);
  }
}

interface UriParts {
  /** Lower case. */
  readonly scheme: string;
  /** Lower case, without the scheme's default port (RFC 9421 §2.2.3). */
  readonly authority: string;
  /** As it came; `/` when there is none. */
  readonly path: string;
  /** With its question mark; nothing when the URI has none. */
  readonly query: string | undefined;
}

/** A URL object would repair what it reads (dot segments, escapes), and sign what nobody sent. */
function partsOf(targetUri: string): UriParts {
  const match = /^(https?):\/\/([^/?#@\s]+)(\/[^?#\s]*)?(\?[^#\s]*)?$/i.exec(targetUri);
  if (!match) return signatureFault('found a target URI that is not http or https and absolute');
  const [, scheme = '', authority = '', path = '/', query] = match;
  const defaultPort = scheme.toLowerCase() === 'https' ? ':443' : ':80';
  const lower = authority.toLowerCase();
  return {
    scheme: scheme.toLowerCase(),
    authority: lower.endsWith(defaultPort) ? lower.slice(0, -defaultPort.length) : lower,
    path,
    query,
  };
}

function originForm({ targetUri }: RequestMessage): string {
  const { path, query } = partsOf(targetUri);
  return `${path}${query ?? ''}`;
}

/** RFC 9421 §2.2.8: parsed as a form, then encoded again in one way. */
function queryParameter(query: string, { parameters, identifier }: CoveredComponent): string {
  const { name } = parameters;
  if (typeof name !== 'string') return signatureFault("found '@query-param' without name");
  const found = [...new URLSearchParams(query)].filter(([key]) => formEncoded(key) === name);
  const [only] = found;
  // More than one: which of them was meant differs by reader.
  return only && found.length === 1
    ? formEncoded(only[1])
    : signatureFault(`found ${found.length} parameters for ${identifier}, expected one`);
}

/** The application/x-www-form-urlencoded percent-encode set of the URL standard, a space as %20. */
function formEncoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
