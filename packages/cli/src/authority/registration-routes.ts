import { type Identity, IdentityError } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import {
  type Problem,
  type RegisteredIdentity,
  readRegisteredIdentities,
  registeredIdOf,
} from '@countersign/policy';
import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import type { Publisher } from './publisher.ts';

const BODY_BYTES_MAX = 1024 * 1024;

/** What `POST /v1/registrations` answers. */
export interface IdentitiesRegistered {
  /** Their ids, in the order of the request. */
  readonly registered: readonly string[];
  /** The fact sequence after it: points that have it know them. */
  readonly sequence: number;
}

/**
 * Registering identities beside the bank's repository: `POST /v1/registrations` (YAML or JSON: one entry of
 * `identities/*.yaml`, or a list; all of them or none; one whose id was registered before takes its place), and
 * `DELETE /v1/registrations/<id>`. 422 with `problems` when they do not pass the checks of the repository, 409 when they
 * contradict what is in force, 404 when there is none to remove.
 *
 * @param options `by` names the operator in the record
 */
export function registrationRoutes(options: {
  readonly publisher: Publisher;
  readonly identity: Identity;
  readonly by: string;
  readonly now: Clock;
}): FastifyPluginAsync {
  const { publisher, identity, by, now } = options;
  return async (app) => {
    // As text: problems name the line of what was sent.
    app.removeContentTypeParser('application/json');
    app.addContentTypeParser(
      ['application/json', 'application/yaml', 'text/yaml'],
      { parseAs: 'string', bodyLimit: BODY_BYTES_MAX },
      (_request, body, done) => done(null, body),
    );
    const change = async (
      reply: FastifyReply,
      edit: { readonly puts: readonly RegisteredIdentity[]; readonly removes: readonly string[] },
    ) => {
      try {
        const result = await publisher.register(edit, by);
        return 'sequence' in result ? result : refused(reply, result);
      } catch (error) {
        if (!(error instanceof IdentityError)) throw error;
        const detail = `${error.message}; apply the repository first`;
        reply.code(409).type('application/problem+json');
        return reply.send({ title: 'Conflict', status: 409, detail });
      }
    };

    app.post('/v1/registrations', async (request, reply) => {
      const text = typeof request.body === 'string' ? request.body : '';
      const { identities, problems } = readRegisteredIdentities(text, {
        ...{ file: 'request', nowMs: now() },
      });
      if (identities.length === 0) return refused(reply, problems);
      const result = await change(reply, { puts: identities, removes: [] });
      if (!('sequence' in result)) return result;
      const answer: IdentitiesRegistered = {
        registered: identities.map(({ id }) => id),
        sequence: result.sequence,
      };
      return reply.code(201).send(answer);
    });

    // A wildcard: a SPIFFE ID may be longer than what Fastify takes as a named parameter.
    app.delete<{ Params: { '*': string } }>('/v1/registrations/*', async (request, reply) => {
      const id = request.params['*'];
      const known = await identity.writtenRegistrations();
      if (!known.some((each) => each.id === id)) {
        const detail = `'${id.slice(0, 200)}' was not registered by API; what stands in identities/ is removed there`;
        reply.code(404).type('application/problem+json');
        return reply.send({ title: 'Not Found', status: 404, detail });
      }
      const result = await change(reply, { puts: [], removes: [id] });
      return 'sequence' in result ? reply.code(204).send() : result;
    });
  };
}

function refused(reply: FastifyReply, problems: readonly Problem[]): FastifyReply {
  const errors = problems.filter(({ severity }) => severity === 'error');
  // Of what is registered nobody sees the text that we keep: a line in it says nothing.
  const told = problems.map((problem) => {
    const { line: _line, column: _column, ...rest } = problem;
    return registeredIdOf(problem) === undefined ? problem : rest;
  });
  return reply
    .code(422)
    .type('application/problem+json')
    .send({
      title: 'nothing was changed',
      status: 422,
      detail: errors
        .map(({ file, found, expected }) => `${file}: found ${found}, expected ${expected}`)
        .join('; ')
        .slice(0, 4000),
      problems: told,
    });
}
