"""The pages. Each says which right it needs (`desk.page`), asks `reading` or a module that writes, and renders."""
