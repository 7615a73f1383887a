{{ config(materialized='table', schema='marts') }}
{{ child_features('score') }}
