import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  ACR_VALUES,
  type Acr,
  type AuthorizationDetail,
  type DetailLine,
  type DetailType,
  detailFault,
  detailLines,
} from '@countersign/model';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { errors } from 'oidc-provider';

/** Details in one request; of each type there is one, so that a policy can name it. */
const DETAILS_MAX = 10;
/** Characters of all of them, as JSON, and bytes of those that go on without content, since they do so in a token. */
const DETAILS_CHARACTERS_MAX = 16_384;
const GRANTED_BYTES_MAX = 2048;

/** What a person approves, in words. */
export interface Approval {
  readonly title: string;
  readonly lines: readonly DetailLine[];
}

/** Rich authorization requests (RFC 9396) of the types that the bank defines; none where it defines none. */
export class DetailRules {
  readonly #types: ReadonlyMap<string, DetailType>;

  constructor(types: readonly DetailType[]) {
    this.#types = new Map(types.map((each) => [each.type, each]));
  }

  has(type: string): boolean {
    return this.#types.has(type);
  }

  /** Configuration that takes `authorization_details`, when there is a type. */
  configure(configuration: Configuration): Configuration {
    if (this.#types.size === 0) return configuration;
    const { issueRefreshToken } = configuration;
    return {
      ...configuration,
      // What a person approved once is not had again and again while the session lasts.
      issueRefreshToken: async (ctx, client, source) =>
        ((await issueRefreshToken?.(ctx, client, source)) ?? false) &&
        (source.rar ?? []).every(({ type }) => this.#types.get(type)?.isForClients === true),
      features: {
        ...configuration.features,
        richAuthorizationRequests: {
          enabled: true,
          types: Object.fromEntries(
            [...this.#types.keys()].map((type) => [
              type,
              { validate: (ctx: KoaContextWithOIDC) => void this.asked(ctx) },
            ]),
          ),
          authorizationDetailsForGrantSource: (ctx: KoaContextWithOIDC) =>
            this.asked(ctx)?.map(withoutContent),
          authorizationDetailsForAccessToken: (
            ctx: KoaContextWithOIDC,
            _token: unknown,
            source: { readonly rar?: readonly AuthorizationDetail[] } | undefined,
          ) => {
            const asked = this.asked(ctx);
            return source ? unchanged(asked, source.rar) : this.#forClient(asked);
          },
        },
      } as Configuration['features'],
    } as Configuration;
  }

  /**
   * The details that a request asks for, each as its type says, and no two of a type.
   *
   * @throws {errors.InvalidAuthorizationDetails} RFC 9396 §5
   */
  asked(ctx: KoaContextWithOIDC): AuthorizationDetail[] | undefined {
    const text = ctx.oidc.params?.['authorization_details'];
    return typeof text === 'string' ? this.#parse(text) : undefined;
  }

  /** What a person is shown of a request that was pushed; nothing when it asks for nothing. */
  approvals(text: unknown): readonly Approval[] {
    return this.#known(text).map(([detail, { title, fields }]) => ({
      title,
      lines: detailLines(detail, fields),
    }));
  }

  /** How whoever approves it must sign in, at least. */
  neededAcr(text: unknown): Acr | undefined {
    const needed = this.#known(text).map(([, { acr }]) => acr);
    // From the lowest to the highest.
    return ACR_VALUES.findLast((level) => needed.includes(level));
  }

  #known(text: unknown): [AuthorizationDetail, DetailType][] {
    const details = typeof text === 'string' ? this.#parse(text) : [];
    return details.flatMap((detail) => {
      const type = this.#types.get(detail.type);
      return type ? [[detail, type] as [AuthorizationDetail, DetailType]] : [];
    });
  }

  #parse(text: string): AuthorizationDetail[] {
    if (text.length > DETAILS_CHARACTERS_MAX) {
      throw refused(`more than ${DETAILS_CHARACTERS_MAX} characters`);
    }
    let details: AuthorizationDetail[];
    try {
      details = JSON.parse(text);
    } catch {
      throw refused('no JSON');
    }
    if (!Array.isArray(details) || details.length > DETAILS_MAX) {
      throw refused(`no list of at most ${DETAILS_MAX}`);
    }
    for (const [index, detail] of details.entries()) {
      const type = this.#types.get(detail?.type);
      if (type === undefined) throw refused('a type that is not supported');
      if (details.findIndex((each) => each.type === detail.type) < index) {
        throw refused(`two of type '${detail.type}'`);
      }
      const fault = detailFault(detail, type);
      if (fault !== undefined) throw refused(fault);
    }
    if (Buffer.byteLength(JSON.stringify(details.map(withoutContent))) > GRANTED_BYTES_MAX) {
      throw refused(`more than ${GRANTED_BYTES_MAX} bytes without content`);
    }
    return details;
  }

  #forClient(asked: AuthorizationDetail[] | undefined): AuthorizationDetail[] | undefined {
    const foreign = asked?.find(({ type }) => this.#types.get(type)?.isForClients !== true);
    if (foreign) throw refused(`type '${foreign.type}', which a person approves`);
    return asked;
  }
}

/**
 * What was authorised goes on whole: a purpose that could be dropped on the way would be no limit.
 *
 * @throws {errors.InvalidAuthorizationDetails} when other details are asked for than there are
 */
export function unchanged(
  asked: readonly AuthorizationDetail[] | undefined,
  granted: readonly AuthorizationDetail[] | undefined,
): AuthorizationDetail[] | undefined {
  if (asked !== undefined && !isDeepStrictEqual(sorted(asked), sorted(granted ?? []))) {
    throw refused('other details than were authorised');
  }
  return granted && [...granted];
}

/** What of a detail goes on: of the content that was held against it, the digest. */
function withoutContent(detail: AuthorizationDetail): AuthorizationDetail {
  const { content, ...fields } = detail;
  if (typeof content !== 'string') return detail;
  const contentDigest = createHash('sha256').update(content).digest('base64');
  return { ...(fields as AuthorizationDetail), contentDigest };
}

/** By what an interaction says that exactly this was approved. */
export function detailsDigest(text: unknown): string | undefined {
  return typeof text === 'string'
    ? createHash('sha256').update(text).digest('base64url')
    : undefined;
}

function sorted(details: readonly AuthorizationDetail[]): readonly AuthorizationDetail[] {
  return details.toSorted((a, b) => (a.type < b.type ? -1 : 1));
}

function refused(found: string): errors.InvalidAuthorizationDetails {
  return new errors.InvalidAuthorizationDetails(`found ${found}`);
}
