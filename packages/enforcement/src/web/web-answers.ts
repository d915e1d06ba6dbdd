import type { Answer } from '../exchange.ts';

/** RFC 6797, on all answers: the origin is spoken to over TLS and in no other way. */
export const HSTS = ['Strict-Transport-Security', 'max-age=31536000'] as const;

/**
 * What all answers of ours have: nothing from elsewhere, no script, no frame, no referrer, no copy.
 *
 * @see CSP Level 3, Fetch Standard (Cross-Origin-Resource-Policy)
 */
const SECURITY_FIELDS: readonly string[] = [
  ...['Cache-Control', 'no-store'],
  ...[
    'Content-Security-Policy',
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  ],
  ...['X-Frame-Options', 'DENY'],
  ...['X-Content-Type-Options', 'nosniff'],
  // Not no-referrer: then the form of the page itself would come from nowhere.
  ...['Referrer-Policy', 'same-origin'],
  ...['Cross-Origin-Opener-Policy', 'same-origin'],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
  ...HSTS,
];

/** An answer of a problem or of the point itself, as browsers should get it. */
export function hardened({ status, headers, body }: Answer): Answer {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if ((headers[index] as string).toLowerCase() === 'cache-control') continue;
    kept.push(headers[index] as string, headers[index + 1] as string);
  }
  return { status, headers: [...kept, ...SECURITY_FIELDS], body };
}

export function redirect(
  location: string,
  cookies: readonly string[],
  more: readonly string[] = [],
): Answer {
  // RFC 9110 §15.4.4: another request, a GET, whatever this one was; nothing is sent twice.
  return hardened({
    status: 303,
    headers: ['Location', location, ...more, ...setCookieFields(cookies)],
    body: '',
  });
}

/** A page of ours. */
export function pageAnswer(
  status: number,
  page: {
    readonly title: string;
    /** Plain text, each a paragraph. */
    readonly text: readonly string[];
    readonly links?: readonly { readonly href: string; readonly text: string }[];
    /** A button that is sent by POST. */
    readonly button?: { readonly action: string; readonly text: string };
    readonly eventId?: string;
  },
  { cookies = [], headers = [] }: { cookies?: readonly string[]; headers?: readonly string[] } = {},
): Answer {
  const { title, text, links = [], button, eventId } = page;
  const body = [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    `<title>${escaped(title)}</title><h1>${escaped(title)}</h1>`,
    ...text.map((each) => `<p>${escaped(each)}</p>`),
    ...(button
      ? [
          `<form method="post" action="${escaped(button.action)}"><button>${escaped(button.text)}</button></form>`,
        ]
      : []),
    ...links.map((each) => `<p><a href="${escaped(each.href)}">${escaped(each.text)}</a></p>`),
    ...(eventId ? [`<p>Event ${escaped(eventId)}</p>`] : []),
    '</html>\n',
  ].join('\n');
  return hardened({
    status,
    headers: ['Content-Type', 'text/html; charset=utf-8', ...headers, ...setCookieFields(cookies)],
    body,
  });
}

export function setCookieFields(cookies: readonly string[]): string[] {
  return cookies.flatMap((cookie) => ['Set-Cookie', cookie]);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
