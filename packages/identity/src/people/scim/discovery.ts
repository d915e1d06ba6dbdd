import { PAGE_MAX } from './list-resources.ts';
import { RESOURCE_TYPES, type ScimSchema } from './scim-schemas.ts';

const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';

/** RFC 7644 §3.4.2. */
export function listDocument(listing: {
  readonly totalResults: number;
  readonly startIndex: number;
  readonly resources: readonly object[];
}): object {
  return {
    schemas: [LIST_SCHEMA],
    totalResults: listing.totalResults,
    startIndex: listing.startIndex,
    itemsPerPage: listing.resources.length,
    Resources: listing.resources,
  };
}

/** RFC 7643 §5. Without /Bulk: one request, one change, one answer that says what became of it. */
export function serviceProviderConfig(base: string): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: PAGE_MAX },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token of this client, with an end',
        specUri: 'https://www.rfc-editor.org/info/rfc6750',
        primary: true,
      },
      {
        type: 'mutualtls',
        name: 'Client certificate',
        description: 'The SVID of a registered subject',
        specUri: 'https://www.rfc-editor.org/info/rfc8705',
      },
    ],
    meta: {
      resourceType: 'ServiceProviderConfig',
      location: `${base}/ServiceProviderConfig`,
    },
  };
}

/** RFC 7643 §6. */
export function resourceTypes(base: string): readonly { readonly id: string }[] {
  return RESOURCE_TYPES.map(({ name, endpoint, core, extensions }) => ({
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
    id: name,
    name,
    endpoint,
    description: core.description,
    schema: core.id,
    ...(extensions.length > 0 && {
      schemaExtensions: extensions.map(({ id }) => ({ schema: id, required: false })),
    }),
    meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${name}` },
  }));
}

/** RFC 7643 §7. */
export function schemas(base: string): readonly ScimSchema[] {
  return RESOURCE_TYPES.flatMap(({ core, extensions }) => [core, ...extensions]).map((schema) => ({
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'],
    ...schema,
    meta: { resourceType: 'Schema', location: `${base}/Schemas/${schema.id}` },
  }));
}
