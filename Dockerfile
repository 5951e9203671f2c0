# muster, without its development dependencies. Runs as an ordinary user, writes nothing to its disk.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY migrations ./migrations
COPY LICENSE ./
USER node
EXPOSE 8080
ENTRYPOINT ["node", "dist/cli/muster.js"]
CMD ["serve"]
