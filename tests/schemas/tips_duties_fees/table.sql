-- A Canadian shop that sells abroad, collects duties at checkout and takes tips.
-- Duties and fees are stored as the money sets of the REST order.
CREATE TABLE orders (
  id bigint(20) unsigned NOT NULL,
  name varchar(32) NOT NULL,
  customer_id bigint(20) unsigned DEFAULT NULL,
  created_at datetime NOT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) DEFAULT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  cancelled_at datetime DEFAULT NULL,
  total_tip_received decimal(10,2) NOT NULL,
  original_total_duties_set longtext DEFAULT NULL,
  original_total_additional_fees_set longtext DEFAULT NULL,
  line_items longtext DEFAULT NULL,
  shipping_lines longtext DEFAULT NULL,
  refunds longtext DEFAULT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
