import type { DenialReason, EntityUid, Operation, ResourceRef } from '@countersign/model';
import type { RequestHead } from '../exchange.ts';
import type { HeaderFields } from './header-fields.ts';
import { readRequestTarget } from './request-target.ts';
import type { SurfaceRoute } from './surface-routes.ts';

/** Which action on which resource a request asks for. */
export interface Description {
  readonly kind: 'description';
  readonly operation: Operation;
  readonly resource: ResourceRef;
}

/** Why a request cannot be described; it is refused, because nobody said what it would do. */
export interface DescriptionRefusal {
  readonly kind: 'refusal';
  readonly reason: Extract<
    DenialReason,
    'path-ambiguous' | 'request-ambiguous' | 'route-unknown' | 'method-unknown'
  >;
  readonly detail: string;
  /** The template that the path matched, when only the method is unknown. */
  readonly template?: string;
  /** The methods that it has. */
  readonly methods?: readonly string[];
}

// RFC 9110 §7.2: uri-host, which may be an IPv6 literal, and an optional port.
const HOST = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;

/** The second verb: which action on which resource? Strict, and never repairing. */
export function describe(
  head: RequestHead,
  fields: HeaderFields,
  route: SurfaceRoute,
): Description | DescriptionRefusal {
  if (fields.ambiguity) return refusal('request-ambiguous', fields.ambiguity);
  // RFC 9112 §3.2: exactly one Host; more than one was seen as an ambiguity.
  if (fields.host === undefined) return refusal('request-ambiguous', 'no host field');
  if (!HOST.test(fields.host)) return refusal('request-ambiguous', 'host is no authority');
  // RFC 9110 §9.3.1: content in a GET has no meaning, and is where requests are smuggled.
  if (fields.hasContent && (head.method === 'GET' || head.method === 'HEAD')) {
    return refusal('request-ambiguous', 'content with a method that has none');
  }
  const target = readRequestTarget(head.target);
  if (target.kind === 'ambiguous') return refusal('path-ambiguous', target.detail);
  if (!target.path.startsWith(route.prefix))
    return refusal('route-unknown', 'not below the prefix');
  const match = route.operations.match(head.method, target.path.slice(route.prefix.length));
  switch (match.kind) {
    case 'operation':
      return {
        kind: 'description',
        operation: match.operation,
        resource: resourceOf(route, match.operation, match.values),
      };
    case 'method-unknown':
      return {
        ...refusal('method-unknown', `no operation for '${head.method.slice(0, 32)}'`),
        template: match.template,
        methods: match.methods,
      };
    case 'route-unknown':
      if (match.isOtherSpelling) {
        return refusal(
          'path-ambiguous',
          'another spelling of a path that has a template of its own',
        );
      }
      // Some resources cut a trailing slash off, and would serve what we know by another name.
      return match.isTrailingSlash
        ? refusal('path-ambiguous', 'a trailing slash that no template has')
        : refusal('route-unknown', 'no template matches');
  }
}

/** The entity of the last parameter, held by those of the earlier ones and by the surface. */
function resourceOf(
  { surface }: SurfaceRoute,
  operation: Operation,
  values: readonly string[],
): ResourceRef {
  const holder: EntityUid = { type: 'Surface', id: surface.name };
  const last = operation.parameters.length - 1;
  if (last < 0) return { ...holder, parents: [] };
  const entities = operation.parameters.map(({ entityType }, index) => ({
    type: `${surface.namespace}::${entityType}`,
    id: values[index] ?? '',
  }));
  const resource = entities[last] as EntityUid;
  return { ...resource, parents: [...entities.slice(0, last).reverse(), holder] };
}

function refusal(reason: DescriptionRefusal['reason'], detail: string): DescriptionRefusal {
  return { kind: 'refusal', reason, detail };
}
