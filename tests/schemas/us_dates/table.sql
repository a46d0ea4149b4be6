-- A shop in New York that loads a hand-made order report into MySQL.
-- Dates are text, month first, on the shop's clock.
CREATE TABLE orders (
  order_id int(11) NOT NULL,
  order_name varchar(20) NOT NULL,
  order_date varchar(20) NOT NULL,
  fulfilled_at varchar(20) DEFAULT NULL,
  customer_email varchar(191) DEFAULT NULL,
  currency char(3) NOT NULL,
  payment_status varchar(20) NOT NULL,
  subtotal decimal(10,2) NOT NULL,
  discount_amount decimal(10,2) NOT NULL,
  shipping_price decimal(10,2) NOT NULL,
  tax decimal(10,2) NOT NULL,
  total decimal(10,2) NOT NULL,
  PRIMARY KEY (order_id)
) DEFAULT CHARSET=utf8mb4;
