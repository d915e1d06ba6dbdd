import type { HeaderFields } from '../describe/header-fields.ts';
import type { Exchange } from '../exchange.ts';
import { authenticateBrowser } from '../web/authenticate-browser.ts';
import type { AuthenticationContext } from './authentication-context.ts';
import { authenticateEdge } from './edge.ts';
import type { AuthenticationRefusal, Identity } from './identity.ts';
import { authenticateMesh } from './mesh.ts';

/**
 * The first verb: who is this, and with which key? Synchronous for a token that was verified
 * before, asynchronous for a new one and for a DPoP proof.
 *
 * @param audience what an access token must name; absent when no surface is addressed
 */
export function authenticate(
  exchange: Exchange,
  fields: HeaderFields,
  audience: string | undefined,
  context: AuthenticationContext,
): Identity | AuthenticationRefusal | Promise<Identity | AuthenticationRefusal> {
  const web = context.web.get(exchange.connection.listener);
  if (web) return authenticateBrowser(exchange, fields, context, web);
  return context.edgeListeners.has(exchange.connection.listener)
    ? authenticateEdge(exchange, fields, audience, context)
    : authenticateMesh(exchange, fields, context);
}
