import { listOf, quote } from '../document/describe.ts';
import type { Place } from '../document/report.ts';
import type { ListenerConfig, RouteConfig, WebConfig } from '../repository.ts';
import { RESERVED_PATH } from '../web-paths.ts';
import type { CheckedSurface } from './check-surfaces.ts';
import { readAuthorities } from './read-certificates.ts';
import type { WrittenConfig, WrittenPoint } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

/** What every session's tokens are for: policies can tell a browser's request by it. */
const WEB_SCOPE = 'web';

type WrittenListener = WrittenPoint['value']['listeners'][number];

interface Options {
  readonly config: WrittenConfig;
  readonly point: WrittenPoint;
  readonly byName: ReadonlyMap<string, CheckedSurface>;
  readonly context: CheckContext;
  /** Where a key of the listener stands. */
  readonly at: (...path: PropertyKey[]) => Place;
}

/**
 * Checks a listener for browsers: people can sign in, the session's cookie and the issuer's are apart, its surfaces have one
 * audience and nothing at the paths that are the point's own.
 *
 * @returns what the point needs to be the issuer's client; nothing when that cannot be said
 */
export async function checkWeb(
  listener: WrittenListener,
  routes: readonly RouteConfig[],
  options: Options,
): Promise<ListenerConfig['web']> {
  const { web } = listener;
  if (!web) return undefined;
  const { config, point, byName, context, at } = options;
  const { report } = context;
  const { authority } = config;
  if (listener.tls === 'off') {
    report.error(at('web'), {
      found: "'web' with 'tls: off'",
      expected: 'TLS: whoever reads a cookie on the line has the session',
      mend: "remove 'tls: off'",
    });
  }
  if (listener.clientAuthorities.length > 0) {
    report.error(at('clientAuthorities'), {
      found: "clientAuthorities beside 'web'",
      expected: 'a listener for browsers, or one for partners',
      mend: 'give the partners a listener of their own',
    });
  }
  if (listener.accessTokens) {
    report.error(at('accessTokens'), {
      found: "accessTokens beside 'web'",
      expected: 'a listener for browsers, or one for callers with tokens of their own',
      mend: 'give the others a listener of their own',
    });
  }
  if (listener.certificateFile === undefined) {
    report.warn(at('web'), {
      found: 'a listener for browsers that shows an SVID',
      expected: 'a certificate that browsers know: they warn their people of this one',
      mend: "add 'certificateFile' and 'keyFile', a certificate of the web's or the bank's CA",
    });
  }
  if (!authority) return undefined;
  const host = new URL(web.origin).hostname;
  if (host === new URL(authority.issuerUrl).hostname) {
    report.error(at('web', 'origin'), {
      found: `${quote(web.origin)}, the issuer's host`,
      expected:
        "a host name of its own: browsers send cookies to every port of a host, and the application would get those of people's sign-ins",
      mend: 'give the application, or authority.issuerUrl, another name',
    });
  }
  for (const [index, other] of point.value.listeners.entries()) {
    if (point.value.listeners.indexOf(listener) <= index || !other.web) continue;
    if (new URL(other.web.origin).hostname !== host) continue;
    report.error(at('web', 'origin'), {
      found: `host ${quote(host)} a second time in this point`,
      expected: 'a host name of its own for each application: they would share their cookies',
      mend: 'give one of them another name',
    });
  }
  if (!authority.login) {
    report.error(at('web'), {
      found: "'web', and nobody who signs in",
      expected: "'authority.login' in countersign.yaml",
      mend: "add 'login: { name: … }' under 'authority'",
    });
  } else if (web.acr === 'phrh' && !authority.login.hardwareKeys) {
    report.error(at('web', 'acr'), {
      found: 'phrh, and no hardware keys',
      expected: "'authority.login.hardwareKeys', or nobody reaches it",
      mend: "add 'hardwareKeys', or ask for phr",
    });
  }
  const surfaces = routes.flatMap(({ surface }) => byName.get(surface) ?? []);
  const audience = checkSurfaces(surfaces, options);
  if (audience === undefined) return undefined;
  const operations = surfaces.flatMap(({ surface }) => surface.operations);
  const scopes = new Set([WEB_SCOPE, ...operations.flatMap((each) => each.scopes)]);
  const issuerAuthorities: string[] = [];
  for (const [index, file] of authority.issuerAuthorities.entries()) {
    const from = config.document?.at(['authority', 'issuerAuthorities', index]) ?? at('web');
    issuerAuthorities.push(...(await readAuthorities(file, { ...context, from })));
  }
  return {
    origin: web.origin,
    clientId: `${web.origin}/${point.name}`,
    issuer: {
      url: authority.issuerUrl,
      ...(authority.issuerCertificateFile !== undefined && {
        authoritiesPem: issuerAuthorities.length > 0 ? issuerAuthorities : 'system',
      }),
    },
    acr: web.acr,
    audience,
    scopes: [...scopes],
    idleSeconds: authority.login?.sessionIdle ?? 3600,
    ...(web.userHeader !== undefined && { userHeader: web.userHeader }),
    allowedOrigins: web.allowedOrigins,
  } satisfies WebConfig;
}

/** @returns the audience of all of them */
function checkSurfaces(
  surfaces: readonly CheckedSurface[],
  { at, context: { report } }: Options,
): string | undefined {
  const audiences = new Set(surfaces.map(({ surface }) => surface.audience));
  if (audiences.size > 1) {
    report.error(at('routes'), {
      found: `surfaces for ${listOf([...audiences])}`,
      expected: 'one audience: the session has one token',
      mend: "give the surfaces of this application the same 'audience', or listeners of their own",
    });
  }
  for (const { surface, basePath, document } of surfaces) {
    const { name, evidenceLevel, mode } = surface;
    const shadowed = surface.operations.find(({ path }) =>
      `${basePath}${path}/`.startsWith(`${RESERVED_PATH}/`),
    );
    if (shadowed) {
      report.error(document.at(['name']), {
        found: `${quote(basePath + shadowed.path)} of surface '${name}' behind a listener for browsers`,
        expected: `nothing below ${RESERVED_PATH}/: there people sign out, and nothing of it is sent on`,
        mend: 'move it to another path',
      });
    }
    if (evidenceLevel === 'E2' || evidenceLevel === 'E3') {
      report.error(document.at(['evidenceLevel']), {
        found: `evidenceLevel ${evidenceLevel} of surface '${name}' behind a listener for browsers`,
        expected: 'E0, or E1 for enrolled devices alone: browsers do not sign what they ask',
        mend: "write 'evidenceLevel: E0', or let an application with keys of its own ask",
      });
    } else if (evidenceLevel === 'E1' && mode === 'enforce') {
      report.warn(document.at(['name']), {
        found: `surface '${name}' with evidenceLevel E1 behind a listener for browsers`,
        expected:
          'E0, unless all its people have enrolled devices: a cookie alone is good for whoever has it, and E1 refuses it',
        mend: "write 'evidenceLevel: E0' in the surface, or keep it and enrol devices",
      });
    }
  }
  return audiences.size === 1 ? [...audiences][0] : undefined;
}
