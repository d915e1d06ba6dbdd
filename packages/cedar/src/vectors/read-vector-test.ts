import type { CedarJson, CedarUid } from '../engine.ts';
import { parseUidText } from '../text/parse-uid-text.ts';
import type { VectorLink, VectorRequest, VectorTest } from './vector-test.ts';

/** Whether a JSON value is meant to be a test: folders hold entities and links as well. */
export function looksLikeTest(json: unknown): boolean {
  return isRecord(json) && 'requests' in json && 'policies' in json;
}

/**
 * Reads the official format.
 *
 * @throws {Error} that says which part is not as it must be
 */
export function readVectorTest(json: unknown): VectorTest {
  const test = asRecord(json, 'test');
  const links = test['templateLinks'] ?? test['template_links'] ?? test['links'];
  return {
    policies: asText(test['policies'], 'policies'),
    schema: isRecord(test['schema']) ? test['schema'] : optionalText(test['schema'], 'schema'),
    entities: Array.isArray(test['entities'])
      ? test['entities']
      : optionalText(test['entities'], 'entities'),
    shouldValidate:
      typeof test['shouldValidate'] === 'boolean' ? test['shouldValidate'] : undefined,
    links:
      links === undefined || links === null
        ? undefined
        : typeof links === 'string'
          ? links
          : readLinks(links),
    requests: asList(test['requests'], 'requests').map(readRequest),
  };
}

function readRequest(json: unknown, index: number): VectorRequest {
  const request = asRecord(json, `requests[${index}]`);
  const { description, validateRequest } = request;
  // The command line of Cedar prints decisions in capitals.
  const decision = String(request['decision']).toLowerCase();
  if (decision !== 'allow' && decision !== 'deny') {
    throw new Error(`found no decision in requests[${index}], expected 'allow' or 'deny'`);
  }
  const ids = (name: string) =>
    request[name] !== undefined && {
      [name]: asList(request[name], `requests[${index}].${name}`)
        .map((id) => asText(id, `requests[${index}].${name}`))
        .sort(),
    };
  return {
    description: typeof description === 'string' ? description : `request ${index}`,
    principal: readUid(request['principal'], 'principal'),
    action: readUid(request['action'], 'action'),
    resource: readUid(request['resource'], 'resource'),
    context: asRecord(request['context'] ?? {}, 'context') as { [name: string]: CedarJson },
    // The official harness checks requests unless the file says otherwise.
    validateRequest: validateRequest !== false,
    expected: { decision, ...ids('reason'), ...ids('errors') },
  };
}

/**
 * Reads links in cedar-wasm's form (`[{templateId, newId, values}]`) or in that of the official command line
 * (`[{template_id, link_id, args}]`, entities as `User::"alice"`).
 */
export function readLinks(json: unknown): readonly VectorLink[] {
  return asList(json, 'links').map((each, index) => {
    const link = asRecord(each, `links[${index}]`);
    const template = link['templateId'] ?? link['template_id'] ?? link['template'];
    const id = link['newId'] ?? link['link_id'] ?? link['linkId'] ?? link['new_id'] ?? link['id'];
    const values = asRecord(link['values'] ?? link['args'] ?? {}, `links[${index}].values`);
    return {
      id: asText(id, `links[${index}].newId`),
      template: asText(template, `links[${index}].templateId`),
      values: Object.fromEntries(
        Object.entries(values).map(([slot, uid]) => [
          slot.startsWith('?') ? slot : `?${slot}`,
          readUid(uid, `links[${index}].values`),
        ]),
      ),
    };
  });
}

/** `{type, id}`, `{"__entity": {type, id}}` or `User::"alice"`. */
export function readUid(json: unknown, what: string): CedarUid {
  if (typeof json === 'string') return readUidText(json, what);
  const outer = asRecord(json, what);
  const { type, id } = isRecord(outer['__entity']) ? outer['__entity'] : outer;
  return { type: asText(type, `${what}.type`), id: asText(id, `${what}.id`) };
}

function readUidText(text: string, what: string): CedarUid {
  const uid = parseUidText(text);
  if (!uid) throw new Error(`found ${JSON.stringify(text)} as ${what}, expected Type::"id"`);
  return uid;
}

function optionalText(json: unknown, what: string): string | undefined {
  return json === undefined || json === null ? undefined : asText(json, what);
}

function asText(json: unknown, what: string): string {
  if (typeof json !== 'string') throw new Error(`found no text as ${what}, expected one`);
  return json;
}

function asList(json: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(json)) throw new Error(`found no list as ${what}, expected one`);
  return json;
}

function asRecord(json: unknown, what: string): { readonly [name: string]: unknown } {
  if (!isRecord(json)) throw new Error(`found no object as ${what}, expected one`);
  return json;
}

function isRecord(json: unknown): json is { readonly [name: string]: unknown } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
